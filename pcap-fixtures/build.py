#!/usr/bin/python3
"""Writes the golden folders of pcap-fixtures/ from the cases in rows/.

    build.py             regenerate every folder (for deliberate changes: read the diff)
    build.py --check     exit 1 if the tree is not what the cases say
    build.py --tshark    exit 1 if tshark finds a fault that no case declares

Needs Debian's python3-scapy, hence the interpreter above; --tshark needs tshark.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from generator.files import row_files
from generator.row import Row
from generator.tshark import complaints

HERE = Path(__file__).resolve().parent


def rows() -> list[Row]:
    """Every row of every module in rows/; a module with several nodes or variants lists each."""
    modules = [
        importlib.import_module(f"rows.{path.stem}") for path in sorted((HERE / "rows").glob("*.py"))
    ]
    return [row for module in modules for row in module.ROWS]


def expected_tree(tree: list[Row]) -> dict[Path, bytes]:
    return {
        HERE / row.name / name: content for row in tree for name, content in row_files(row).items()
    }


def leftovers(tree: list[Row], expected: dict[Path, bytes]) -> list[Path]:
    """Files of these rows that no case writes any more. Other folders, recordings among them, are
    not this program's to judge or to remove."""
    files = {path for row in tree for path in (HERE / row.name).rglob("*") if path.is_file()}
    return sorted(files - expected.keys())


def regenerate(tree: list[Row], expected: dict[Path, bytes]) -> None:
    for path in leftovers(tree, expected):
        path.unlink()
    for path, content in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def differences(tree: list[Row], expected: dict[Path, bytes]) -> list[str]:
    stale = [f"{path}: no case writes this" for path in leftovers(tree, expected)]
    return stale + [
        f"{path}: differs from what its row says" for path, content in expected.items()
        if not path.is_file() or path.read_bytes() != content
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--tshark", action="store_true", help="judge the captures with tshark")
    arguments = parser.parse_args()

    tree = rows()
    expected = expected_tree(tree)
    problems: list[str] = []
    if arguments.check:
        problems += differences(tree, expected)
    if arguments.tshark:
        problems += [problem for row in tree for problem in complaints(row, HERE / row.name)]
    if not (arguments.check or arguments.tshark):
        regenerate(tree, expected)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(tree)} folders, {sum(len(row.cases) for row in tree)} cases, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
