//! Explicit congestion notification across a tunnel (RFC 6040).

/// The ECN field's bits of the TOS byte (RFC 3168 5).
pub const MASK: u8 = 0b11;
/// Not ECN-capable transport.
pub const NOT_ECT: u8 = 0b00;
/// ECN-capable transport, codepoint 1.
pub const ECT_1: u8 = 0b01;
/// ECN-capable transport, codepoint 0.
pub const ECT_0: u8 = 0b10;
/// Congestion experienced.
pub const CE: u8 = 0b11;

/// What the inner packet becomes at a tunnel's exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The ECN field that it is forwarded with; None: it must be dropped.
    pub field: Option<u8>,
    /// It is forwarded, and the combination should not occur: RFC 6040 figure 4 marks it (!!!).
    pub anomaly: bool,
}

/// The ECN field of a packet that leaves a tunnel (RFC 6040 4.2, figure 4). Both arguments are TOS bytes.
#[inline]
pub fn exit(inner: u8, outer: u8) -> Exit {
    let (field, anomaly) = match (inner & MASK, outer & MASK) {
        (NOT_ECT, CE) => (None, false),
        (NOT_ECT, NOT_ECT) => (Some(NOT_ECT), false),
        (NOT_ECT, _) => (Some(NOT_ECT), true),
        (CE, ECT_1) => (Some(CE), true),
        (CE, _) | (_, CE) => (Some(CE), false),
        (ECT_0, ECT_1) => (Some(ECT_1), false),
        (same, _) => (Some(same), false),
    };
    Exit { field, anomaly }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_4_of_rfc_6040() {
        // Rows: inner Not-ECT, ECT(0), ECT(1), CE. Columns: outer Not-ECT, ECT(0), ECT(1), CE.
        let order = [NOT_ECT, ECT_0, ECT_1, CE];
        let figure = [
            [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None],
            [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)],
            [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)],
            [Some(CE), Some(CE), Some(CE), Some(CE)],
        ];
        // Those marked (!!!) that are forwarded; the dropped one has a name of its own.
        let marked = [(NOT_ECT, ECT_0), (NOT_ECT, ECT_1), (CE, ECT_1)];
        for (inner, row) in order.into_iter().zip(figure) {
            for (outer, field) in order.into_iter().zip(row) {
                // DSCP bits around the field play no part.
                let got = exit(inner | 0xb8, outer | 0x48);
                assert_eq!(got.field, field, "inner {inner:02b} outer {outer:02b}");
                assert_eq!(
                    got.anomaly,
                    marked.contains(&(inner, outer)),
                    "inner {inner:02b} outer {outer:02b}"
                );
            }
        }
    }
}
