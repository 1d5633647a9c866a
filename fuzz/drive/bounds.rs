//! What an input may cost in memory.

/// Does `work`, which may take `per_byte` bytes of memory for each of the input's `length` bytes, and `fixed` more, at
/// any one time.
pub(crate) fn within<T>(
    length: usize,
    per_byte: usize,
    fixed: usize,
    work: impl FnOnce() -> T,
) -> T {
    let mut done = None;
    let taken = allocation_counter::measure(|| done = Some(work()));
    let most = length * per_byte + fixed;
    assert!(
        taken.bytes_max <= most as u64,
        "an input of {length} bytes took {} bytes, {most} are allowed",
        taken.bytes_max
    );
    done.expect("the work was done")
}
