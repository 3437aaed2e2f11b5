//! What control found wrong in the state of a node and worked around.

use packetwalk_walk::Severity;
use std::fmt;

/// Something in the state that cannot be resolved or is not walked. The rest of the state is kept; packets that it
/// concerns are counted by their own reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it means.
    pub severity: Severity,
    /// The link, route or neighbour at fault, and what becomes of its packets.
    pub text: String,
}

impl Finding {
    /// Packets are lost or punted because of it.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, text: text.into() }
    }

    /// A healthy node may have it.
    pub fn info(text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.text)
    }
}
