//! Filesystems that are read-only or full, mounted where only one command sees them.

use std::process::Command;

/// `sh -c script` in a mount namespace of its own; `None` where this user may not mount.
pub fn script(script: &str) -> Option<Command> {
    for namespace in ["-m", "-rm"] {
        let probe = Command::new("unshare")
            .args([namespace, "sh", "-c", "mount -t tmpfs none /mnt && umount /mnt"])
            .stderr(std::process::Stdio::null())
            .status();
        if probe.is_ok_and(|status| status.success()) {
            let mut command = Command::new("unshare");
            command.args([namespace, "sh", "-c", script]);
            return Some(command);
        }
    }
    None
}
