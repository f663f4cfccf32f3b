//! The memory allocator's one setting. docs/decisions/0007-system-allocator.md has the measurements.

/// Has glibc keep as many arenas as there are cores. Its default of eight a core lets each of the many short-lived blocking
/// threads hold freed memory of its own. Must be called before other threads start.
pub(crate) fn limit_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores.max(ARENAS_MIN)).unwrap_or(i32::MAX);
        // SAFETY: mallopt stores a number, and no other thread runs yet. A refusal leaves the default, which is only larger.
        #[expect(unsafe_code, reason = "there is no safe way to this setting but an environment variable before the start")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, arenas);
        }
    }
}

/// Fewer would make two busy threads wait for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS_MIN: usize = 2;
