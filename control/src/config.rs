//! The configuration file, `packetwalk.toml`: where it departs from what the state of the node says.
//!
//! Every key is optional and has the default that a user of the kernel expects. Unknown keys, and values that are not
//! among those expected, are errors: a setting that is silently ignored is worse than none.
//!
//! ```toml
//! [[port]]                # the first entry that matches a port decides
//! device = "veth*"        # a glob over interface names
//! role = "workload"       # or "uplink"
//!
//! [tunnel]
//! accept = "known"        # who may send us tunnel packets: "known" peers, or "any"
//! vni = "link"            # which VNI of a VXLAN packet is accepted: that of a "link", or "any"
//!
//! [vxlan]
//! udp_csum = false        # whether a UDP checksum is computed where the link asks for one
//!
//! [icmp]
//! rate = 1000             # ICMP errors a second, per worker; 0: none
//! burst = 50              # at once
//!
//! [netlink]
//! receive_buffer = 16777216 # bytes of the kernel's messages that may wait until they are read
//! ```

use crate::netlink::FollowSettings;
use glob::Pattern;
use packetwalk_walk::IcmpRate;
use packetwalk_walk::tables::Role;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};

/// What can be configured. [`Config::default`] is what an empty file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Roles of ports, in the order of the file: the first that matches decides.
    #[serde(rename = "port")]
    pub ports: Vec<PortConfig>,
    /// Tunnels of all kinds.
    pub tunnel: TunnelConfig,
    /// VXLAN.
    pub vxlan: VxlanConfig,
    /// ICMP errors.
    pub icmp: IcmpConfig,
    /// How the kernel is followed.
    pub netlink: NetlinkConfig,
}

/// The role of the ports that match.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortConfig {
    /// Which interfaces: a glob (`*`, `?`, `[a-z]`) over their names.
    #[serde(deserialize_with = "pattern")]
    pub device: Pattern,
    /// On which side of the node they are.
    pub role: PortRole,
}

/// `role` of a `[[port]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortRole {
    /// A pod or another guest is behind it.
    Workload,
    /// The network is behind it.
    Uplink,
}

impl From<PortRole> for Role {
    fn from(role: PortRole) -> Self {
        match role {
            PortRole::Workload => Self::Workload,
            PortRole::Uplink => Self::Uplink,
        }
    }
}

/// `[tunnel]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TunnelConfig {
    /// From whom tunnel packets are accepted.
    pub accept: Accept,
    /// Which VXLAN networks are accepted.
    pub vni: AcceptVni,
}

/// From whom tunnel packets are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// The tunnel's `remote`, a gateway of a route through it, or an FDB remote.
    #[default]
    Known,
    /// Anybody outside; never a workload.
    Any,
}

/// Which VXLAN networks are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptVni {
    /// That of a link.
    #[default]
    Link,
    /// Any, from whoever may send at all.
    Any,
}

/// `[vxlan]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VxlanConfig {
    /// Whether VXLAN over IPv4 carries a UDP checksum. Zero is what RFC 7348 5 recommends.
    pub udp_csum: bool,
}

/// `[icmp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IcmpConfig {
    /// ICMP errors a second, on average, per worker. 0: none.
    pub rate: u32,
    /// At once.
    pub burst: u32,
}

impl Default for IcmpConfig {
    fn default() -> Self {
        Self { rate: 1000, burst: 50 }
    }
}

impl From<IcmpConfig> for IcmpRate {
    fn from(icmp: IcmpConfig) -> Self {
        Self { rate: icmp.rate, burst: icmp.burst }
    }
}

/// `[netlink]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetlinkConfig {
    /// Bytes of messages that may wait until they are read, counted as the kernel does: a route is about 800. What comes beyond
    /// that is lost, and costs a new listing. 4 KiB to 1 GiB.
    #[serde(deserialize_with = "receive_buffer")]
    pub receive_buffer: usize,
}

impl Default for NetlinkConfig {
    fn default() -> Self {
        Self { receive_buffer: FollowSettings::default().receive_buffer }
    }
}

impl From<NetlinkConfig> for FollowSettings {
    fn from(netlink: NetlinkConfig) -> Self {
        Self { receive_buffer: netlink.receive_buffer }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, or says something that is not expected.
    #[error("{}:{line}: {}{problem}", path.display(), if key.is_empty() { String::new() } else { format!("{key}: ") })]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, as a path from the top of the file; empty where the syntax is wrong.
        key: String,
        /// The value, and what was expected.
        problem: String,
    },
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(path, &text)
    }

    /// Reads `text`; `path` is named in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |key: String, error: &toml::de::Error| ConfigError::Invalid {
            path: path.into(),
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            key,
            problem: error.message().lines().collect::<Vec<_>>().join(", "),
        };
        let document = toml::Deserializer::parse(text).map_err(|error| invalid(String::new(), &error))?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let key = error.path().to_string();
            invalid(if key == "." { String::new() } else { key }, error.inner())
        })
    }

    /// The role that the configuration gives to the port of this name.
    pub fn role(&self, device: &str) -> Option<Role> {
        self.ports.iter().find(|port| port.device.matches(device)).map(|port| port.role.into())
    }

    /// The entries of `[[port]]` that no name of `devices` matches: most likely a mistake.
    pub fn unmatched<'a>(&'a self, devices: &'a [String]) -> impl Iterator<Item = &'a str> {
        self.ports
            .iter()
            .filter(|port| !devices.iter().any(|device| port.device.matches(device)))
            .map(|port| port.device.as_str())
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
    let text = String::deserialize(deserializer)?;
    Pattern::new(&text).map_err(|_| {
        D::Error::invalid_value(Unexpected::Str(&text), &"a glob over interface names, such as \"veth*\"")
    })
}

fn receive_buffer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(deserializer)?;
    if (4 << 10..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(D::Error::invalid_value(Unexpected::Unsigned(bytes as u64), &"4096 to 1073741824 bytes"))
    }
}

/// The line, from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("packetwalk.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_says_the_defaults() {
        assert_eq!(parse(""), Ok(Config::default()));
        let icmp = IcmpRate::from(Config::default().icmp);
        assert_eq!(icmp, packetwalk_walk::Settings::default().icmp);
    }

    #[test]
    fn every_key_is_understood() {
        let config = parse(
            "[[port]]\ndevice = \"veth*\"\nrole = \"workload\"\n[[port]]\ndevice = \"*\"\nrole = \"uplink\"\n\
             [tunnel]\naccept = \"any\"\nvni = \"any\"\n[vxlan]\nudp_csum = true\n[icmp]\nrate = 7\nburst = 3\n\
             [netlink]\nreceive_buffer = 4096\n",
        )
        .expect("valid");
        assert_eq!(config.role("veth1"), Some(Role::Workload));
        assert_eq!(config.role("eth0"), Some(Role::Uplink));
        assert_eq!(config.tunnel, TunnelConfig { accept: Accept::Any, vni: AcceptVni::Any });
        assert!(config.vxlan.udp_csum);
        assert_eq!(config.icmp, IcmpConfig { rate: 7, burst: 3 });
        assert_eq!(config.netlink, NetlinkConfig { receive_buffer: 4096 });
        assert_eq!(config.unmatched(&["eth0".into()]).collect::<Vec<_>>(), ["veth*"]);
    }

    #[test]
    fn errors_name_file_line_key_value_and_what_was_expected() {
        for (text, message) in [
            (
                "[tunnel]\naccept = \"maybe\"\n",
                "packetwalk.toml:2: tunnel.accept: unknown variant `maybe`, expected `known` or `any`",
            ),
            (
                "\n[icmp]\nrat = 1\n",
                "packetwalk.toml:3: icmp.rat: unknown field `rat`, expected `rate` or `burst`",
            ),
            (
                "[tunel]\n",
                "packetwalk.toml:1: tunel: unknown field `tunel`, expected one of `port`, `tunnel`, `vxlan`, `icmp`, \
                 `netlink`",
            ),
            (
                "[netlink]\nreceive_buffer = 100\n",
                "packetwalk.toml:2: netlink.receive_buffer: invalid value: integer `100`, expected 4096 to 1073741824 bytes",
            ),
            (
                "[icmp]\nburst = -1\n",
                "packetwalk.toml:2: icmp.burst: invalid value: integer `-1`, expected u32",
            ),
            (
                "[vxlan]\nudp_csum = 1\n",
                "packetwalk.toml:2: vxlan.udp_csum: invalid type: integer `1`, expected a boolean",
            ),
            (
                "[[port]]\nrole = \"uplink\"\ndevice = \"[\"\n",
                "packetwalk.toml:3: port[0].device: invalid value: string \"[\", \
                 expected a glob over interface names, such as \"veth*\"",
            ),
            ("[[port]]\ndevice = \"a\"\n", "packetwalk.toml:1: port[0]: missing field `role`"),
        ] {
            assert_eq!(parse(text).expect_err(text), message);
        }
        let syntax = parse("[icmp]\nrate 3\n").expect_err("no equals sign");
        assert!(syntax.starts_with("packetwalk.toml:2: "), "{syntax}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nowhere/packetwalk.toml")).expect_err("it is not there");
        assert!(error.to_string().starts_with("/nowhere/packetwalk.toml: No such file"), "{error}");
    }
}
