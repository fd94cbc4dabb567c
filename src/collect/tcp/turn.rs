//! Whose turn it is on a request–response connection, inferred from `tcp_info` alone.
//!
//! The kernel keeps the age of the last data sent and received, in jiffies shown as milliseconds.
//! The side with the younger age sent last. Within one jiffy the two ages are equal, and on a busy
//! pooled connection that is the usual case. Ties are broken by the pending acknowledgement, by the
//! parity of data segments learnt while there was no tie, and by pure acknowledgements.

use super::diag::{Socket, TcpState};

/// An acknowledgement up to this much younger than the data before it answers that data. An even
/// younger one answers a keepalive probe.
const DELAYED_ACK_MILLIS: u32 = 300;
/// A parity counts once it was seen this many times without a contradiction.
const PARITY_SEEN: u8 = 2;

/// Which end of its connections the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The target accepted the connection and answers requests.
    Inbound,
    /// The target opened the connection and sends requests.
    Outbound,
}

/// What happens on a connection, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The handshake is in progress.
    Connecting,
    /// It waits to be accepted.
    Queued,
    /// No request is open.
    Idle,
    /// Outbound: the target waits for an answer. Inbound: the target owes an answer.
    Busy,
    /// A tie that nothing known about the connection can break.
    Unknown,
}

/// What is remembered of one connection between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Requests minus answers while the connection is idle, counted in data segments.
    base: Option<i64>,
    seen: u8,
    data_segments: (u32, u32),
    /// Pure acknowledgements received before data was last sent or received.
    acks_before_data: u32,
    acks: u32,
    known: bool,
}

impl Memory {
    /// The turn on `socket`. Also stores what the next look needs.
    pub fn turn(&mut self, role: Role, socket: &Socket) -> Turn {
        let new_acks = self.note(socket);
        match socket.state {
            TcpState::SynSent | TcpState::SynRecv => return Turn::Connecting,
            _ if role == Role::Inbound && socket.inode == 0 => return Turn::Queued,
            _ => {}
        }
        let info = &socket.info;
        let (asked, answered) = match role {
            Role::Outbound => (info.data_segments_out, info.data_segments_in),
            Role::Inbound => (info.data_segments_in, info.data_segments_out),
        };
        if asked == 0 {
            return Turn::Idle;
        }
        if answered == 0 {
            return Turn::Busy;
        }
        let open = i64::from(asked) - i64::from(answered);
        let (sent, received) = (info.last_data_sent, info.last_data_received);
        if sent != received {
            let turn = turn_after(role, sent < received);
            self.learn(open - i64::from(turn == Turn::Busy));
            return turn;
        }
        let answer_is_acked = info.last_ack_received < received
            && received - info.last_ack_received <= DELAYED_ACK_MILLIS;
        if info.unacked > 0 || answer_is_acked {
            return turn_after(role, true);
        }
        if let (Some(base), true) = (self.base, self.seen >= PARITY_SEEN) {
            match open - base {
                0 => return Turn::Idle,
                1 => return Turn::Busy,
                _ => {}
            }
        }
        match new_acks {
            Some(true) => turn_after(role, true),
            Some(false) => turn_after(role, false),
            None if role == Role::Outbound => Turn::Idle,
            None => Turn::Unknown,
        }
    }

    /// Counts segments. Returns whether pure acknowledgements came since data was last sent or
    /// received; `None` on the first look.
    fn note(&mut self, socket: &Socket) -> Option<bool> {
        let info = &socket.info;
        let acks = info.segments_in.wrapping_sub(info.data_segments_in);
        let data = (info.data_segments_in, info.data_segments_out);
        let first = !self.known;
        if first || data != self.data_segments {
            self.acks_before_data = if first { acks } else { self.acks };
            self.data_segments = data;
        }
        self.acks = acks;
        self.known = true;
        (!first).then_some(acks != self.acks_before_data)
    }

    fn learn(&mut self, base: i64) {
        if self.base == Some(base) {
            self.seen = self.seen.saturating_add(1);
        } else {
            self.base = Some(base);
            self.seen = 1;
        }
    }
}

/// The turn, given whether the target (`we`) or its peer sent last.
fn turn_after(role: Role, we_spoke_last: bool) -> Turn {
    match (role, we_spoke_last) {
        (Role::Outbound, true) | (Role::Inbound, false) => Turn::Busy,
        (Role::Outbound, false) | (Role::Inbound, true) => Turn::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::super::diag::TcpInfo;
    use super::*;

    fn socket(info: TcpInfo) -> Socket {
        Socket {
            state: TcpState::Established,
            local: "127.0.0.1:1".parse().unwrap(),
            remote: "127.0.0.1:2".parse().unwrap(),
            cookie: 1,
            inode: 7,
            receive_queue: 0,
            send_queue: 0,
            info,
        }
    }

    fn info(sent: u32, received: u32, out: u32, into: u32) -> TcpInfo {
        TcpInfo {
            last_data_sent: sent,
            last_data_received: received,
            last_ack_received: received,
            segments_in: into,
            data_segments_in: into,
            data_segments_out: out,
            ..TcpInfo::default()
        }
    }

    #[test]
    fn the_younger_age_spoke_last() {
        let asked = socket(info(4, 100, 5, 4));
        let answered = socket(info(100, 4, 5, 5));
        let turn = |role, socket| Memory::default().turn(role, socket);
        assert_eq!(turn(Role::Outbound, &asked), Turn::Busy);
        assert_eq!(turn(Role::Outbound, &answered), Turn::Idle);
        assert_eq!(turn(Role::Inbound, &asked), Turn::Idle);
        assert_eq!(turn(Role::Inbound, &answered), Turn::Busy);
    }

    #[test]
    fn a_fresh_connection_is_idle_and_a_first_request_busy() {
        let turn = |info| Memory::default().turn(Role::Outbound, &socket(info));
        assert_eq!(turn(info(0, 0, 0, 0)), Turn::Idle);
        assert_eq!(turn(info(0, 0, 1, 0)), Turn::Busy);
    }

    #[test]
    fn a_tie_is_broken_by_parity_once_learnt() {
        let mut memory = Memory::default();
        for round in 1..=3 {
            memory.turn(Role::Outbound, &socket(info(100, 4, round, round)));
        }
        // Reused within the same jiffy: both ages are equal for the whole wait.
        assert_eq!(memory.turn(Role::Outbound, &socket(info(8, 8, 4, 3))), Turn::Busy);
        assert_eq!(memory.turn(Role::Outbound, &socket(info(0, 0, 4, 4))), Turn::Idle);
    }

    #[test]
    fn a_pending_acknowledgement_breaks_a_tie_and_a_keepalive_does_not() {
        let turn = |info| Memory::default().turn(Role::Outbound, &socket(info));
        assert_eq!(turn(TcpInfo { unacked: 1, ..info(8, 8, 9, 9) }), Turn::Busy);
        let acked = TcpInfo { last_ack_received: 460, ..info(500, 500, 9, 9) };
        assert_eq!(turn(acked), Turn::Busy);
        let keepalive = TcpInfo { last_ack_received: 100, ..info(5000, 5000, 9, 9) };
        assert_eq!(turn(keepalive), Turn::Idle);
    }

    #[test]
    fn without_history_an_inbound_tie_is_unknown() {
        let mut memory = Memory::default();
        assert_eq!(memory.turn(Role::Inbound, &socket(info(8, 8, 9, 9))), Turn::Unknown);
    }

    #[test]
    fn what_waits_to_be_accepted_has_no_owner() {
        let mut waiting = socket(info(0, 0, 0, 1));
        waiting.inode = 0;
        assert_eq!(Memory::default().turn(Role::Inbound, &waiting), Turn::Queued);
    }
}
