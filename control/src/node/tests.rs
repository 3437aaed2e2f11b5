use super::*;
use std::path::Path;

fn fixture(path: &str) -> Node {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures");
    let state = NodeState::load(&root.join(path)).expect("a state");
    Node::build(&state, &Config::default(), Behind::Nothing)
}

#[test]
fn shipped_states_resolve() {
    for (path, findings) in [
        ("calico-ipip-routed/node-121/state.json", 0),
        ("calico-ipip-routed/node-122/state.json", 0),
        ("calico-ipip-always/state.json", 0),
        // A VTEP without forwarding entry.
        ("flannel-vxlan/state.json", 1),
        // A pod without neighbour entry.
        ("calico-bgp/state.json", 1),
        ("calico-crosssubnet/ipip/state.json", 0),
        ("calico-crosssubnet/vxlan/state.json", 0),
        ("calico-crosssubnet/native/state.toml", 0),
        // cilium_host has no neighbour: BPF takes what is sent to it.
        ("cilium-direct/state.toml", 2),
        ("cilium-vxlan/state.json", 2),
        ("kube-router/state.json", 0),
        ("kernel/vxlan/a/node.json", 0),
        ("kernel/routed/a/node.json", 0),
    ] {
        let node = fixture(path);
        assert_eq!(node.tables.verify(), Ok(()), "{path}");
        assert_eq!(node.findings.len(), findings, "{path}: {:?}", node.findings);
    }
}
