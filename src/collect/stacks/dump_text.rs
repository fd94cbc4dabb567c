//! Reads the text of a JVM's thread dump.

use std::collections::HashMap;

use super::stack::{Frame, MOST_FRAMES, State, Thread};

/// Most threads that are read.
const MOST_THREADS: usize = 20_000;

/// Packages of the JDK and of widespread libraries. A frame of these is not the application's.
const FOREIGN: &[&str] = &[
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "jakarta.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "clojure.",
    "org.springframework.",
    "org.apache.",
    "org.eclipse.",
    "io.netty.",
    "io.undertow.",
    "org.jboss.",
    "org.wildfly.",
    "org.xnio.",
    "io.vertx.",
    "io.quarkus.",
    "io.micronaut.",
    "io.helidon.",
    "reactor.",
    "io.reactivex.",
    "akka.",
    "org.hibernate.",
    "com.zaxxer.hikari.",
    "org.postgresql.",
    "com.mysql.",
    "org.mariadb.",
    "oracle.",
    "com.mongodb.",
    "redis.clients.",
    "io.lettuce.",
    "com.fasterxml.",
    "com.google.",
    "okhttp3.",
    "okio.",
    "org.slf4j.",
    "ch.qos.logback.",
    "io.grpc.",
    "org.glassfish.",
    "org.jetbrains.",
    "io.micrometer.",
    "net.bytebuddy.",
    "org.aspectj.",
    "com.codahale.",
    "io.prometheus.",
    "io.opentelemetry.",
    "org.mozilla.",
    "com.microsoft.sqlserver.",
    "com.rabbitmq.",
    "feign.",
    "retrofit2.",
    "play.",
];

/// Native methods that wait for a socket, a file or a process, although the JVM calls them runnable.
const WAITING_CALLS: &[&str] = &[
    "EPoll.wait",
    "EPollArrayWrapper.epollWait",
    "Net.poll",
    "Net.accept",
    "Net.connect",
    "SocketDispatcher.read0",
    "SocketDispatcher.write0",
    "SocketDispatcher.readv0",
    "SocketInputStream.socketRead0",
    "SocketOutputStream.socketWrite0",
    "PlainSocketImpl.socketAccept",
    "PlainSocketImpl.socketConnect",
    "FileDispatcherImpl.read0",
    "FileDispatcherImpl.write0",
    "FileDispatcherImpl.force0",
    "FileInputStream.readBytes",
    "FileOutputStream.writeBytes",
    "UnixNativeDispatcher.",
    "ProcessImpl.waitForProcessExit0",
    "ProcessHandleImpl.waitForProcessExit0",
    "Inet4AddressImpl.lookupAllHostAddr",
    "Inet6AddressImpl.lookupAllHostAddr",
    "UnixDomainSockets.",
    "Reference.waitForReferencePendingList",
];

/// A thread dump.
#[derive(Debug, Default)]
pub(super) struct ParsedDump {
    pub threads: Vec<Thread>,
    /// Processor seconds of each thread since it started, by its name and address.
    pub cpu_seconds: HashMap<String, f64>,
    /// The threads that compute: key in `cpu_seconds`, index in `threads`.
    pub running: Vec<(String, usize)>,
}

/// Reads a dump. Lines of another format are passed over.
pub(super) fn parse(text: &str) -> ParsedDump {
    let mut dump = ParsedDump::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // The name of a thread may contain quotes; its fields follow the last one.
        let Some((_, fields)) = line.strip_prefix('"').and_then(|line| line.rsplit_once('"'))
        else {
            continue;
        };
        let mut stack = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('"')) {
            stack.push(line.trim());
        }
        if dump.threads.len() >= MOST_THREADS {
            break;
        }
        let Some(thread) = thread(&stack) else { continue };
        let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name));
        let cpu = field("cpu=").and_then(|cpu| cpu.strip_suffix("ms")?.parse::<f64>().ok());
        if let Some((milliseconds, address)) = cpu.zip(field("tid=")) {
            dump.cpu_seconds.insert(address.to_owned(), milliseconds / 1e3);
            if thread.state == State::Running {
                dump.running.push((address.to_owned(), dump.threads.len()));
            }
        }
        dump.threads.push(thread);
    }
    dump
}

/// A thread from the lines below its name; `None` for one without Java frames.
fn thread(lines: &[&str]) -> Option<Thread> {
    let state = lines.iter().find_map(|line| line.strip_prefix("java.lang.Thread.State: "))?;
    let mut thread = Thread::new(State::Wait, Vec::new());
    let (mut parked_on, mut waits_on) = (None, None);
    for line in lines {
        if let Some(frame) = line.strip_prefix("at ").filter(|_| thread.frames.len() < MOST_FRAMES)
        {
            thread.frames.extend(self::frame(frame));
            continue;
        }
        let Some(note) = line.strip_prefix("- ") else { continue };
        if let Some(lock) = note.strip_prefix("waiting to lock ") {
            thread.waits_for = address(lock);
        } else if let Some(lock) = note.strip_prefix("waiting to re-lock in wait() ") {
            thread.waits_for = address(lock);
        } else if let Some(lock) = note.strip_prefix("waiting on ") {
            waits_on = address(lock);
        } else if let Some(lock) = note.strip_prefix("parking to wait for ") {
            parked_on = Some(lock);
            thread.waits_for = address(lock);
        } else if let Some(lock) = note.strip_prefix("locked ") {
            let index = thread.frames.len().saturating_sub(1);
            thread.holds.extend(address(lock).map(|lock| (lock, index)));
        }
    }
    // A thread in `wait()` has released what it waits on.
    let released = [waits_on, thread.waits_for.clone()];
    thread.holds.retain(|(lock, _)| !released.iter().flatten().any(|other| other == lock));
    let innermost = thread.frames.first()?;
    let calls = |name: &&str| innermost.function.contains(*name);
    thread.state = match state.split_whitespace().next() {
        Some("RUNNABLE") if WAITING_CALLS.iter().any(calls) => State::Io,
        Some("RUNNABLE") => State::Running,
        Some("BLOCKED") => State::Lock,
        _ if parked_on.is_some_and(is_lock) => State::Lock,
        _ if state.contains("(sleeping)") => State::Sleep,
        _ => State::Wait,
    };
    Some(thread)
}

/// Whether an object that a thread is parked on is a lock, not a queue, a condition or a permit.
fn is_lock(object: &str) -> bool {
    ["ReentrantLock$", "ReentrantReadWriteLock$", "StampedLock"]
        .iter()
        .any(|name| object.contains(name))
}

/// The address of an object in `<0x…> (a Class)`.
fn address(text: &str) -> Option<String> {
    let (address, _) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    (address.len() <= 18).then(|| address.to_owned())
}

/// A frame such as `com.acme.Ledger.add(Ledger.java:57)`.
fn frame(text: &str) -> Option<Frame> {
    let (function, place) = text.trim_end_matches(')').rsplit_once('(')?;
    // A class loader and a module may stand before either of the two; a hidden class has its
    // address after a slash.
    let function = match function.rsplit_once('/') {
        Some((_, name)) if !name.starts_with("0x") => name,
        _ => function,
    };
    let place = place.rsplit_once('/').map_or(place, |(_, place)| place);
    let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
    let file = if file.ends_with("Native Method") || file == "Unknown Source" { "" } else { file };
    let is_own = !FOREIGN.iter().any(|package| function.starts_with(package))
        && !function.contains("$$Lambda")
        && !function.contains("$Proxy")
        && !file.is_empty();
    Some(Frame::new(function, file, line.parse().unwrap_or(0), is_own))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"2026-01-01 00:00:00
Full thread dump OpenJDK 64-Bit Server VM (17.0.15 mixed mode, sharing):

"a "quoted" name" #14 prio=5 os_prio=0 cpu=12.50ms elapsed=3.43s tid=0x00007fb9f840e0a0 nid=0x42e0 waiting for monitor entry  [0x0]
   java.lang.Thread.State: BLOCKED (on object monitor)
	at com.acme.Ledger.add(Ledger.java:57)
	- waiting to lock <0x00000000ffc41ee8> (a java.lang.Object)
	at com.acme.Api$$Lambda$18/0x0000000800c21.handle(Unknown Source)
	at jdk.internal.Worker.run(jdk.httpserver@17.0.15/Worker.java:847)

"holder" #15 prio=5 os_prio=0 cpu=900.00ms elapsed=3.43s tid=0x2 nid=0x42e1 runnable  [0x0]
   java.lang.Thread.State: RUNNABLE
	at java.util.HashMap.get(java.base@17.0.15/HashMap.java:1)
	at com.acme.Ledger.sum(Ledger.java:70)
	at com.acme.Ledger.add(app//Ledger.java:60)
	- locked <0x00000000ffc41ee8> (a java.lang.Object)

"poller" #16 prio=5 os_prio=0 cpu=1.00ms elapsed=3.43s tid=0x3 nid=0x42e2 runnable  [0x0]
   java.lang.Thread.State: RUNNABLE
	at sun.nio.ch.EPoll.wait(java.base@17.0.15/Native Method)

"parked" #17 prio=5 os_prio=0 cpu=1.00ms elapsed=3.43s tid=0x4 nid=0x42e3 waiting on condition  [0x0]
   java.lang.Thread.State: WAITING (parking)
	at jdk.internal.misc.Unsafe.park(java.base@17.0.15/Native Method)
	- parking to wait for  <0x00000000f8> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
	at com.acme.Stock.take(Stock.java:9)

"waiter" #18 prio=5 os_prio=0 tid=0x5 nid=0x42e4 in Object.wait()  [0x0]
   java.lang.Thread.State: WAITING (on object monitor)
	at java.lang.Object.wait(java.base@17.0.15/Native Method)
	- waiting on <0x00000000aa> (a java.util.TaskQueue)
	at com.acme.Queue.take(Queue.java:3)
	- locked <0x00000000aa> (a java.util.TaskQueue)

"VM Thread" os_prio=0 cpu=66.79ms elapsed=4.46s tid=0x6 nid=0x42cf runnable
"#;

    #[test]
    fn a_dump_says_who_waits_where_and_for_whom() {
        let dump = parse(DUMP);
        let states: Vec<State> = dump.threads.iter().map(|thread| thread.state).collect();
        let wanted = [State::Lock, State::Running, State::Io, State::Lock, State::Wait];
        assert_eq!(states, wanted, "the VM's own thread has no frames");
        let waiter = &dump.threads[0];
        assert_eq!(waiter.own().unwrap().place(), "Ledger.java:57");
        let whole =
            super::super::stack::Dump { threads: dump.threads.clone(), ..Default::default() };
        let holder = super::super::stack::Holder::Known("Ledger.java:60".to_owned());
        assert_eq!(whole.holder(waiter), Some(holder));
        assert_eq!(dump.threads[1].own().unwrap().place(), "Ledger.java:70");
        assert!(dump.threads[4].holds.is_empty(), "it has released what it waits on");
        assert_eq!(dump.cpu_seconds["0x2"], 0.9);
        assert_eq!(dump.running, [("0x2".to_owned(), 1)]);
        assert!(!dump.threads[0].frames[1].is_own, "a lambda's frame has no line");
    }

    #[test]
    fn a_damaged_dump_gives_what_can_be_read() {
        for length in 0..DUMP.len() {
            if DUMP.is_char_boundary(length) {
                assert!(parse(&DUMP[..length]).threads.len() <= 5);
            }
        }
        assert!(parse("\"\"\n\tat (\n\tat )(\n- locked <\n").threads.is_empty());
    }
}
