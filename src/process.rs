//! The memory and the files of this process, as Linux reports them.

use std::fs;

/// Return the resident memory in bytes; `None` if `/proc` is hidden.
pub fn resident_octets() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Return the number of open files and sockets; `None` if `/proc` is hidden.
pub fn open_files() -> Option<u64> {
    // The folder itself is open during the count.
    fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_files() {
        assert!(resident_octets().is_some_and(|octets| octets > 1 << 20));
        let before = open_files().expect("there is a /proc");
        let file = fs::File::open("/proc/self/status").expect("it is there");
        // Other tests open and close files meanwhile.
        assert!(before >= 3 && open_files().is_some_and(|files| files >= 4));
        drop(file);
    }
}
