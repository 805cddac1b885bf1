//! A network namespace of a test's own: what is started in it reaches the test over two wires, one of which can be cut.

use std::{net::Ipv4Addr, process::Command};

/// A namespace with two pairs of virtual Ethernet devices. Gone when it is dropped.
pub(crate) struct Namespace {
    name: String,
    /// The test's ends.
    near: [String; 2],
    subnet: [u8; 2],
}

/// One of the wires.
#[derive(Clone, Copy)]
pub(crate) enum Cable {
    /// By which the test asks and origins are fetched.
    Kept = 0,
    /// By which something else is reached, until it is cut.
    Cut = 1,
}

impl Namespace {
    /// A new namespace.
    ///
    /// # Errors
    /// What `ip` says where this may not be done: it takes root, and a kernel that has both.
    pub(crate) fn create() -> Result<Namespace, String> {
        let process = std::process::id();
        let name = format!("ringback-{process}");
        ip(&["netns", "add", &name])?;
        // Names of devices have 15 characters. No two tests that run at once have the same numbers.
        let near = [format!("rb{process}k"), format!("rb{process}c")];
        let subnet = [128 + (process >> 8 & 0x7f) as u8, process as u8];
        let namespace = Namespace { name, near, subnet };
        for cable in [Cable::Kept, Cable::Cut] {
            namespace.lay(cable)?;
        }
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    fn lay(&self, cable: Cable) -> Result<(), String> {
        let (near, far) = (&self.near[cable as usize], format!("far{}", cable as usize));
        ip(&["link", "add", near, "type", "veth", "peer", "name", &far, "netns", &self.name])?;
        let with_mask = |address: Ipv4Addr| format!("{address}/30");
        ip(&["addr", "add", &with_mask(self.near(cable)), "dev", near])?;
        ip(&["-n", &self.name, "addr", "add", &with_mask(self.far(cable)), "dev", &far])?;
        ip(&["link", "set", near, "up"])?;
        ip(&["-n", &self.name, "link", "set", &far, "up"])?;
        Ok(())
    }

    /// The test's address on a wire.
    pub(crate) fn near(&self, cable: Cable) -> Ipv4Addr {
        Ipv4Addr::new(10, self.subnet[0], self.subnet[1], 4 * cable as u8 + 1)
    }

    /// The address of what is inside.
    pub(crate) fn far(&self, cable: Cable) -> Ipv4Addr {
        Ipv4Addr::new(10, self.subnet[0], self.subnet[1], 4 * cable as u8 + 2)
    }

    /// The program, to be started inside.
    pub(crate) fn command(&self) -> Command {
        super::process::command_by("ip", &["netns", "exec", &self.name])
    }

    /// Nothing passes any more, and nobody is told.
    pub(crate) fn cut(&self) {
        ip(&["link", "set", &self.near[Cable::Cut as usize], "down"]).unwrap();
    }

    /// It is as it was.
    pub(crate) fn mend(&self) {
        ip(&["link", "set", &self.near[Cable::Cut as usize], "up"]).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]).ok();
        // They go with their other ends, a moment later.
        for near in &self.near {
            ip(&["link", "del", near]).ok();
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
