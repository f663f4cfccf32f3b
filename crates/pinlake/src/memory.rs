//! The memory allocator's two settings. docs/decisions/0007-system-allocator.md has the measurements.

/// Has glibc keep as many arenas as there are cores, and take large buffers from the system and give them back one by one. Its default
/// of eight arenas a core lets each of the many short-lived blocking threads hold freed memory of its own, and by default one large
/// buffer that is freed makes it keep all up to 32 MiB. Must be called before other threads start.
pub(crate) fn bound_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores.max(ARENAS_MIN)).unwrap_or(i32::MAX);
        // SAFETY: mallopt stores a number, and no other thread runs yet. A refusal leaves the default, which only takes more.
        #[expect(unsafe_code, reason = "there is no safe way to these settings but an environment variable before the start")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, arenas);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        }
    }
}

/// Fewer would make two busy threads wait for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS_MIN: usize = 2;
/// A buffer of this size or more is mapped by itself. Smaller ones cost more in page faults than they save.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 16 << 20;
