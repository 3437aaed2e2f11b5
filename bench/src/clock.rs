//! The clock that a walk is measured by: the time-stamp counter where there is one, else nanoseconds.
//!
//! A tick of `x86_64`'s counter is a clock of the processor's nominal frequency, whatever frequency it runs at. On other
//! targets a tick is a nanosecond of the system's monotonic clock, and "clocks" are nanoseconds.

use std::time::Instant;

/// Reads the counter. It costs about 10 ns, so never once a packet.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the instruction has no safe form")]
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: RDTSC is in every x86_64 processor, reads no memory and changes nothing but its result registers. The kernel
    // could forbid it to user space (CR4.TSD), but then answers with a signal, not with undefined behaviour.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Reads the clock.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// Compares ticks with the system's clock, from when it was made.
pub(crate) struct Calibration {
    ticks: u64,
    time: Instant,
}

impl Calibration {
    /// Starts the comparison.
    pub(crate) fn start() -> Self {
        Self { time: Instant::now(), ticks: ticks() }
    }

    /// Nanoseconds that one tick took since the start. The longer ago that is, the better it is known.
    pub(crate) fn nanoseconds_per_tick(&self) -> f64 {
        let ticks = ticks().saturating_sub(self.ticks).max(1);
        #[allow(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
        let ratio = self.time.elapsed().as_nanos() as f64 / ticks as f64;
        ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ticks_measure_time() {
        let calibration = Calibration::start();
        let (before, time) = (ticks(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        #[allow(clippy::cast_precision_loss)]
        let measured = (ticks() - before) as f64 * calibration.nanoseconds_per_tick();
        #[allow(clippy::cast_precision_loss)]
        let slept = time.elapsed().as_nanos() as f64;
        assert!((measured - slept).abs() < slept * 0.05, "measured {measured} ns of {slept} ns");
    }
}
