//! The system calls that the standard library does not offer. All `unsafe` code of the helper is in this file.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

const SLOWEST_TICK: Duration = Duration::from_millis(10);

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A socket that is closed on exec.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed; a descriptor that is not negative is new and nobody else's.
    unsafe {
        let fd = check(libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Types that the kernel reads or writes as plain bytes, in which any bytes are a valid value.
///
/// # Safety
/// No padding that is left unset, no references, no invalid bit patterns.
pub unsafe trait Plain: Copy {}
// SAFETY: structures of integers, made whole by their literals.
unsafe impl Plain for libc::c_int {}
unsafe impl Plain for libc::timeval {}
unsafe impl Plain for libc::linger {}
unsafe impl Plain for libc::sockaddr_in {}
unsafe impl Plain for libc::sockaddr_in6 {}
unsafe impl Plain for libc::sockaddr_ll {}
unsafe impl Plain for libc::tpacket_stats {}

fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

pub fn set_option<T: Plain>(fd: impl AsFd, level: i32, name: i32, value: T) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of `value`, which lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length_of::<T>()) }).map(drop)
}

/// # Errors
/// The kernel's, and `InvalidData` when it returned another length than that of `T`.
pub fn get_option<T: Plain>(fd: impl AsFd, level: i32, name: i32) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = length_of::<T>();
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes, the size of `value`; any bytes are a valid `T`.
    unsafe {
        check(libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &mut length))?;
        if length == length_of::<T>() {
            Ok(value.assume_init())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// The error that a connect in progress ended with.
pub fn socket_error(fd: impl AsFd) -> io::Result<()> {
    match get_option::<libc::c_int>(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Attaches a classic BPF program: the socket receives the packets for which it returns more than 0.
pub fn attach_filter(fd: impl AsFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let (fd, length) = (fd.as_fd().as_raw_fd(), length_of::<libc::sock_fprog>());
    let name = libc::SO_ATTACH_FILTER;
    // SAFETY: the kernel copies the program during the call and does not write to it.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const fprog).cast(), length) })
        .map(drop)
}

pub fn bind<T: Plain>(fd: impl AsFd, address: T) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of `address`.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), length_of::<T>()) }).map(drop)
}

pub fn connect<T: Plain>(fd: impl AsFd, address: T) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of `address`.
    check(unsafe { libc::connect(fd, (&raw const address).cast(), length_of::<T>()) }).map(drop)
}

/// Lets so many connections wait to be accepted, at most; for a socket that listens already, too.
pub fn listen(fd: impl AsFd, backlog: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::listen(fd.as_fd().as_raw_fd(), backlog) }).map(drop)
}

pub fn send(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `bytes` during the call.
    check_size(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) })
}

pub fn receive(fd: impl AsFd, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `buffer.len()` bytes.
    check_size(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) })
}

/// A packet from an `AF_PACKET` socket, without waiting: its length, which may be more than fits into the buffer, and
/// whether it was sent (`PACKET_OUTGOING`) or received.
pub fn receive_packet(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, u8)> {
    let mut from = MaybeUninit::<libc::sockaddr_ll>::zeroed();
    let mut size = length_of::<libc::sockaddr_ll>();
    let (fd, flags) = (fd.as_fd().as_raw_fd(), libc::MSG_DONTWAIT | libc::MSG_TRUNC);
    // SAFETY: the kernel writes at most `buffer.len()` bytes, and at most `size` into `from`, which is valid whatever
    // its bytes are.
    unsafe {
        let to = buffer.as_mut_ptr().cast();
        let received = libc::recvfrom(fd, to, buffer.len(), flags, from.as_mut_ptr().cast(), &mut size);
        Ok((check_size(received)?, from.assume_init().sll_pkttype))
    }
}

pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `buffer.len()` bytes.
    check_size(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// One descriptor of a `poll`.
pub struct Interest<'a> {
    pub fd: BorrowedFd<'a>,
    pub events: libc::c_short,
}

/// Waits at most `timeout`, rounded up to milliseconds; what happened to each, in order. A signal is no error: nothing
/// has happened then.
pub fn poll(interests: &[Interest], timeout: Duration) -> io::Result<Vec<libc::c_short>> {
    let one = |i: &Interest| libc::pollfd { fd: i.fd.as_raw_fd(), events: i.events, revents: 0 };
    let mut fds: Vec<libc::pollfd> = interests.iter().map(one).collect();
    let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the pointer and the length are those of `fds`.
    let result = check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, ms) });
    match result {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
        _ => Ok(fds.iter().map(|fd| fd.revents).collect()),
    }
}

/// A descriptor that becomes readable when one of the signals arrives; they no longer do anything else.
pub fn signals(numbers: &[i32]) -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `sigemptyset` initializes the set before it is used; the descriptor is new and nobody else's.
    unsafe {
        check(libc::sigemptyset(set.as_mut_ptr()))?;
        for &number in numbers {
            check(libc::sigaddset(set.as_mut_ptr(), number))?;
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The index of an interface of this network namespace.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: the string ends with a zero byte and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The time from one tick of the kernel's clock to the next (1 s / `CONFIG_HZ`).
pub fn tick() -> Duration {
    let mut tick = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes `tick`.
    match unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut tick) } {
        0 => Duration::new(tick.tv_sec as u64, tick.tv_nsec as u32),
        _ => SLOWEST_TICK,
    }
}

/// Lets the process open as many files as its hard limit allows; returns how many.
pub fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads and writes `limit` during the calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))?;
    }
    Ok(limit.rlim_cur)
}

/// An epoll instance. Each descriptor has a token, which comes back with its events.
pub struct Epoll(OwnedFd);

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed; the descriptor is new and nobody else's.
        unsafe { Ok(Self(OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?))) }
    }

    /// A descriptor leaves by itself when it is closed.
    pub fn add(&self, fd: impl AsFd, token: u64, events: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, events)
    }

    pub fn change(&self, fd: impl AsFd, token: u64, events: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, events)
    }

    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, operation: i32, fd: impl AsFd, token: u64, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: the kernel reads `event` during the call.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_fd().as_raw_fd(), &mut event) })
            .map(drop)
    }

    /// What is ready now, without waiting: token and events, at most 256 of them.
    pub fn ready(&self) -> io::Result<Vec<(u64, u32)>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        // SAFETY: the kernel writes at most as many events as there is room for.
        let n = check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 256, 0) })?;
        Ok(events.iter().take(n as usize).map(|event| (event.u64, event.events)).collect())
    }
}
