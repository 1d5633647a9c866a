//! provisional
/// Longest description read, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;
/// Most lines read.
pub const LINES_MAX: usize = 512;
/// Most `m=` lines read.
pub const MEDIA_MAX: usize = 16;
/// Most formats read on one `m=` line.
pub const FORMATS_MAX: usize = 64;
