//! Serves one function: `GET /healthz` answers OK, every other request calls the function, each connection in a thread of
//! its own. SIGTERM and SIGINT stop accepting, let running requests end, and exit with 0.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{env, process, thread};

use crate::future::block_on;
use crate::http::{self, Connection, Received, Trouble};
use crate::response::{IntoResponse, Response};
use crate::signals;
use crate::{Context, Event, Extensions};

/// For how long clients that have connected may still bring their request when the server ends.
const ON_THE_WIRE: Duration = Duration::from_millis(100);

/// A function that can be called, whether it answers at once or is `async`; `Kind` tells the two apart.
pub trait Function<Kind>: Send + Sync + 'static {
    /// Calls it.
    ///
    /// # Errors
    /// Where the function failed, by its own word.
    fn call(&self, event: Event, context: Context) -> Result<Response, String>;
}

/// A function that answers at once.
#[derive(Debug)]
pub enum AtOnce {}

/// A function that is `async`.
#[derive(Debug)]
pub enum Later {}

impl<F, R> Function<(AtOnce, R)> for F
where
    F: Fn(Event, Context) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn call(&self, event: Event, context: Context) -> Result<Response, String> {
        self(event, context).into_response()
    }
}

impl<F, R> Function<(Later, R)> for F
where
    F: Fn(Event, Context) -> R + Send + Sync + 'static,
    R: Future,
    R::Output: IntoResponse,
{
    fn call(&self, event: Event, context: Context) -> Result<Response, String> {
        block_on(self(event, context)).into_response()
    }
}

type Called = dyn Fn(Event, Context) -> Result<Response, String> + Send + Sync;

/// Serves a function until SIGTERM or SIGINT. `label` is its handler, `version` the compiler's.
pub fn serve<Kind>(label: &str, version: &str, function: impl Function<Kind>) -> ! {
    run(label, version, Box::new(move |event, context| function.call(event, context)))
}

/// What does not depend on the function, so that it is compiled once for all.
fn run(label: &str, version: &str, function: Box<Called>) -> ! {
    let port = setting::<u64>("FUNC_PORT", "8080");
    let timeout = setting::<f64>("FUNC_TIMEOUT", "180");
    let timeout = if timeout.is_finite() { timeout.clamp(0.0, 1e15) } else { 1e15 };
    let variable = |name| env::var(name).unwrap_or_default();
    let context = Context {
        function_name: label.rsplit('.').next().unwrap_or(label).to_owned(),
        timeout: Duration::from_secs_f64(timeout),
        runtime: variable("FUNC_RUNTIME"),
        memory_limit: variable("FUNC_MEMORY_LIMIT"),
    };
    panic::set_hook(Box::new(|info| note_panic(&info.to_string().replacen(":\n", ": ", 1))));
    let signals =
        signals::listen().unwrap_or_else(|error| refuse(&format!("cannot wait for signals: {}", error)));
    let (listener, port) = listen(port)
        .unwrap_or_else(|error| refuse(&format!("cannot listen on FUNC_PORT {}: {}", port, plain(&error))));
    log(&format!("listening on :{} ({}, Rust {})", port, label, version));
    let server = Arc::new(Server {
        function,
        context,
        stopping: AtomicBool::new(false),
        running: Mutex::new(0),
        changed: Condvar::new(),
    });
    let mut stopping = false;
    while !stopping {
        stopping = signals.or_connection(&listener);
        accept(&listener, &server); // On the way out, too: these clients have connected already.
    }
    server.stopping.store(true, Ordering::SeqCst);
    drop(listener);
    signals::ignore_no_more(); // A second Ctrl-C does not wait.
    thread::sleep(ON_THE_WIRE);
    let mut running = server.running.lock().unwrap_or_else(PoisonError::into_inner);
    while *running > 0 {
        running = server.changed.wait(running).unwrap_or_else(PoisonError::into_inner);
    }
    process::exit(0)
}

fn setting<T: FromStr>(name: &str, default: &str) -> T {
    let value = env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
    let parsed = value.trim().parse();
    parsed.unwrap_or_else(|_| refuse(&format!("{} is '{}', which is not a number", name, value)))
}

fn refuse(why: &str) -> ! {
    log(&format!("error: {}", why));
    process::exit(1)
}

/// A socket for both IP versions, where the machine has both; and its port.
fn listen(port: u64) -> io::Result<(TcpListener, u16)> {
    let out_of_range = |_| io::Error::new(io::ErrorKind::InvalidInput, "no port has this number");
    let port = u16::try_from(port).map_err(out_of_range)?;
    let has_no_ipv6 = |error: &io::Error| matches!(error.raw_os_error(), Some(97 | 99));
    let listener = match TcpListener::bind(("::", port)) {
        Err(error) if has_no_ipv6(&error) => TcpListener::bind(("0.0.0.0", port))?,
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The system's words, without their number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// All that the connections share.
struct Server {
    function: Box<Called>,
    context: Context,
    stopping: AtomicBool,
    running: Mutex<usize>,
    changed: Condvar,
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let server = Arc::clone(server);
                let started = thread::Builder::new().spawn(move || attend(&server, stream));
                if let Err(error) = started {
                    log(&format!("error: cannot start a thread: {}", plain(&error)));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                log(&format!("error: cannot accept a connection: {}", plain(&error)));
                thread::sleep(ON_THE_WIRE); // Out of file descriptors, most likely: let some requests end.
                return;
            }
        }
    }
}

/// One client's requests, one after the other.
fn attend(server: &Server, stream: TcpStream) {
    let nonblocking = stream.set_nonblocking(false);
    if let (Ok(()), Ok(mut connection)) = (nonblocking, Connection::new(stream)) {
        while connection.waits() {
            let _running = Running::new(server);
            if !serve_one(server, &mut connection).unwrap_or(false) {
                return;
            }
        }
    }
}

/// Counts a request as long as it lives.
struct Running<'a>(&'a Server);

impl<'a> Running<'a> {
    fn new(server: &'a Server) -> Self {
        *server.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Running(server)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}

/// Answers a request; whether the connection lives on.
fn serve_one(server: &Server, connection: &mut Connection) -> io::Result<bool> {
    let Received { request, body, keep } = match connection.receive() {
        Ok(received) => received,
        Err(Trouble::Gone(error)) => return Err(error),
        Err(Trouble::Refused(status, why)) => {
            connection.answer(&said(status, &format!("{}\n", why)), false, false)?;
            connection.linger();
            return Ok(false);
        }
    };
    let is_head = request.method == "HEAD";
    let response = if request.path == "/healthz" && (is_head || request.method == "GET") {
        said(200, "OK")
    } else {
        let header = |name| request.header(name).unwrap_or_default().to_owned();
        let event = Event {
            data: body,
            event_id: header("event-id"),
            event_type: header("event-type"),
            event_time: header("event-time"),
            event_namespace: header("event-namespace"),
            extensions: Extensions { request: request.clone() },
        };
        call(server, event).unwrap_or_else(|why| {
            log(&format!("error: {} {}: {}", request.method, request.path.replace('\n', " "), why));
            said(500, "Internal Server Error\n")
        })
    };
    let keep = keep && !server.stopping.load(Ordering::SeqCst);
    connection.answer(&response, keep, is_head)?;
    Ok(keep)
}

fn said(status: u16, text: &str) -> Response {
    Response::new(status).header("Content-Type", "text/plain; charset=utf-8").body(text)
}

fn call(server: &Server, event: Event) -> Result<Response, String> {
    IN_FUNCTION.with(|state| state.set(Some(String::new())));
    let context = server.context.clone();
    let result = panic::catch_unwind(AssertUnwindSafe(|| (server.function)(event, context)));
    let noted = IN_FUNCTION.with(Cell::take);
    let response = result.unwrap_or_else(|payload| {
        Err(noted.filter(|text| !text.is_empty()).unwrap_or_else(|| words(&*payload)))
    })?;
    http::fault(&response).map_or(Ok(response), |why| Err(why.to_owned()))
}

thread_local! {
    /// What is known of a panic in the function that this thread calls; `None` outside of it.
    static IN_FUNCTION: Cell<Option<String>> = const { Cell::new(None) };
}

/// Keeps what a panic says for the request's line in the log; one in a thread of the function's own is told at once.
fn note_panic(text: &str) {
    let called = IN_FUNCTION.try_with(|state| {
        let inside = state.take().is_some();
        state.set(inside.then(|| text.to_owned()));
        inside
    });
    if !called.unwrap_or(false) {
        log(&format!("error: {}", text));
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text =
        payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// One write, so that the lines of parallel requests do not mix.
fn log(text: &str) {
    let _ = io::stderr().write_all(format!("{}\n", text).as_bytes());
}
