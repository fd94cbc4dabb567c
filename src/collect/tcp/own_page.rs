//! The connections that listing sockets leaves out: those of kneepoint's own page, which are no part
//! of what is watched. Each viewer has one, and on one machine with kneepoint two.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The port of the page that kneepoint serves during the run, if it does. Clones share it: collectors
/// are opened before the page.
#[derive(Clone, Debug, Default)]
pub struct OwnPage(Arc<AtomicU16>);

impl OwnPage {
    /// The page is served at this port from now on.
    pub fn is_at(&self, port: u16) {
        self.0.store(port, Ordering::Relaxed);
    }

    /// Where it is served.
    pub(super) fn port(&self) -> Option<NonZeroU16> {
        NonZeroU16::new(self.0.load(Ordering::Relaxed))
    }
}

/// The attribute of a request that holds a program (`linux/inet_diag.h`).
const BYTECODE: u16 = 1;
/// The operations of such a program. The last two are known since Linux 5.9.
const NOTHING: u8 = 0;
const JUMP: u8 = 1;
const LOCAL_PORT_IS: u8 = 11;
const REMOTE_PORT_IS: u8 = 12;
/// Bytes of one operation. A port takes the place of a second one.
const OPERATION: u16 = 4;

/// One operation: how far to go on where it holds, and where it does not.
fn operation(code: u8, holds: u16, holds_not: u16) -> [u8; 4] {
    let far = holds_not.to_ne_bytes();
    [code, holds as u8, far[0], far[1]]
}

/// What is added to a request so that it lists no socket with this port at either end: a program of
/// `struct inet_diag_bc_op`. To come to its very end means that a socket is listed, and to go beyond
/// means that it is not (`inet_diag_bc_run` in `net/ipv4/inet_diag.c`).
pub fn without(port: NonZeroU16) -> Vec<u8> {
    let tests = [LOCAL_PORT_IS, REMOTE_PORT_IS];
    // A test, its port, and the jump that leaves the program, which is passed over where it differs.
    let step = 3 * OPERATION;
    let program =
        tests.into_iter().zip((1..=tests.len() as u16).rev()).flat_map(|(test, steps)| {
            let out = (steps - 1) * step + 2 * OPERATION;
            let port = operation(NOTHING, 0, port.get());
            [operation(test, 2 * OPERATION, step), port, operation(JUMP, OPERATION, out)]
        });
    let program: Vec<u8> = program.flatten().collect();
    let length = OPERATION + program.len() as u16;
    [&length.to_ne_bytes(), &BYTECODE.to_ne_bytes(), &*program].concat()
}
