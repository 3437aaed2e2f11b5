"""Builds the golden captures of this folder with scapy, and judges them with tshark."""
