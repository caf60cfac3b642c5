//! From start to exit: boot, listen, answer, and what the signals do.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::answer::answer;
use crate::app::App;
use crate::config::{Config, Exit, OnTerm};
use crate::gauge::Held;

/// How long it waits after a failed accept. Such failures (no file handles left) do not pass by themselves.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How often it looks whether it shall refuse connections.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Serves until a signal ends it, then finishes what is in flight.
pub async fn serve(config: Config) -> ExitCode {
    let start = Instant::now();
    let app = Arc::new(App::new(config));
    match run(&app, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(app: &Arc<App>, start: Instant) -> io::Result<()> {
    let stop = asked_to_stop(app.config.on_term)?;
    drain_on_signal(app.clone())?;
    let name = tokio::select! {
        // In this order, because an exit after 0 ms comes before anything else.
        biased;
        () = exit_by_itself(app.config.exit, start) => unreachable!("it has exited"),
        name = stop => name,
        error = boot_and_listen(app) => return error.map(|_: Infallible| ()),
    };
    finish(app, name, start).await;
    Ok(())
}

/// Waits for the signal that makes it finish, and names it. The handlers are in place when this returns the
/// future, not when that is first polled.
fn asked_to_stop(on_term: OnTerm) -> io::Result<impl Future<Output = &'static str>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            let name = either(&mut term, &mut int).await;
            match on_term {
                OnTerm::Finish => return name,
                OnTerm::Exit => exit_at_once(name),
                OnTerm::Ignore => println!("got {name}, ignoring it"),
            }
        }
    })
}

async fn either(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

fn exit_at_once(name: &str) -> ! {
    println!("got {name}, exiting at once");
    exit(0)
}

fn drain_on_signal(app: Arc<App>) -> io::Result<()> {
    let mut usr1 = signal(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while usr1.recv().await.is_some() {
            app.drain();
            println!("got SIGUSR1, draining");
        }
    });
    Ok(())
}

/// Ends the process in the way of an application that gives up; never returns otherwise.
async fn exit_by_itself(plan: Option<Exit>, start: Instant) {
    let Some(plan) = plan else {
        return pending().await;
    };
    if !plan.after.is_zero() {
        sleep_until(start + plan.after).await;
    }
    eprintln!("fatal: cannot reach database");
    eprintln!("giving up");
    exit(plan.code.into())
}

async fn boot_and_listen(app: &Arc<App>) -> io::Result<Infallible> {
    sleep(app.config.boot).await;
    let mut listener = listen(app.config.port).await?;
    let port = listener.local_addr()?.port();
    app.now_listens();
    println!("listening on :{port} version {}", app.config.version);
    allocate(app.config.alloc_mb);
    loop {
        if app.refuses() {
            take_the_waiting(app, &listener).await;
            drop(listener);
            println!("refusing connections");
            while app.refuses() {
                sleep(LOOK_EVERY).await;
            }
            listener = listen(port).await?;
            println!("listening again");
        }
        let look_again = if app.config.drain_refuse { LOOK_EVERY } else { Duration::MAX };
        let _ = timeout(look_again, accept(app, &listener)).await;
    }
}

/// By both versions of IP on one socket, as most runtimes do.
async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        listener => listener,
    }
}

/// Accepts what the kernel has already accepted: it would reset those connections when the listener closes.
async fn take_the_waiting(app: &Arc<App>, listener: &TcpListener) {
    while timeout(Duration::ZERO, accept(app, listener)).await.is_ok() {}
}

async fn accept(app: &Arc<App>, listener: &TcpListener) {
    match listener.accept().await {
        Ok((stream, _)) => {
            let held = app.connections.enter();
            tokio::spawn(connection(app.clone(), stream, held));
        }
        Err(error) => {
            eprintln!("cannot accept: {error}");
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Answers the requests of one connection. Its errors are the client's doing: nothing to report.
async fn connection(app: Arc<App>, stream: TcpStream, _held: Held) {
    let _ = stream.set_nodelay(true);
    let mut finishing = app.finishing.subscribe();
    let service = service_fn(|request| answer(app.clone(), request));
    let serving = http1::Builder::new()
        // Idle clients may stay: only a stop ends their connections.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = finishing.wait_for(|finishing| *finishing) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

/// Waits until every connection is done. An upgraded one is done when its client closes it: if that does not
/// happen, the engine kills the process after its grace period.
async fn finish(app: &App, name: &str, start: Instant) {
    println!("got {name}, finishing {} requests", app.requests.count());
    app.finishing.send_replace(true);
    tokio::select! {
        () = exit_by_itself(app.config.exit, start) => {}
        () = app.connections.zero() => println!("bye"),
    }
}

/// Takes memory for good. On a thread of its own, so that the server answers meanwhile.
fn allocate(megabytes: usize) {
    if megabytes == 0 {
        return;
    }
    std::thread::spawn(move || {
        for _ in 0..megabytes {
            // Not zero: the kernel gives pages of zeros without any memory behind them.
            std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
        println!("allocated {megabytes} MiB");
    });
}
