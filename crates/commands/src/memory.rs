//! MEMORY but for USAGE, as a proxy answers it: it holds no data, so there is little to tell.

use resp::Reply;

/// MEMORY DOCTOR
pub fn doctor() -> Reply {
    let report = "Keys and values are on the disks of the storage nodes, behind caches of a fixed size; this proxy \
                  holds none. There is nothing to diagnose here.\n";
    Reply::Verbatim(*b"txt", report.into())
}

/// MEMORY MALLOC-STATS
pub fn malloc_stats() -> Reply {
    Reply::bulk("Stats not supported for the current allocator")
}

/// MEMORY PURGE: the allocator gives memory back by itself.
pub fn purge() -> Reply {
    Reply::OK
}

/// MEMORY STATS, of a process that has `resident_bytes` of memory.
pub fn stats(resident_bytes: Option<u64>) -> Reply {
    let resident = |bytes: u64| (Reply::bulk("allocator.resident"), Reply::Int(bytes.cast_signed()));
    Reply::Map(resident_bytes.map(resident).into_iter().collect())
}
