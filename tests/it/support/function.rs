//! The function of the tests: each way of answering is a handler of its own.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;
use std::{env, thread};

use kubeless::{serve, Context, Event, Response};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("echo") => serve("hello.echo", "1.2.3", echo),
        Some("data") => serve("hello.data", "1.2.3", data),
        Some("kinds") => serve("hello.kinds", "1.2.3", kinds),
        Some("later") => serve("hello.later", "1.2.3", later),
        Some("none") => serve("hello.none", "1.2.3", |_: Event, _: Context| None::<Vec<u8>>),
        Some("unit") => serve("hello.unit", "1.2.3", |_: Event, _: Context| ()),
        Some("cow") => serve("hello.cow", "1.2.3", |_: Event, _: Context| Cow::Borrowed("cow")),
        Some("meet") => serve("hello.meet", "1.2.3", meet),
        Some("slow") => serve("hello.slow", "1.2.3", slow),
        Some("address") => serve("hello.address", "1.2.3", address),
        other => panic!("there is no {:?}", other),
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", text).replace("\\'", "'")
}

/// What the tests of the wire ask for.
fn echo(event: Event, _: Context) -> Response {
    let request = event.request();
    let header = request.header("x").map_or_else(|| "null".to_owned(), quoted);
    let parts = [quoted(&request.method), quoted(&request.path), quoted(&event.text()), header];
    Response::json(format!("[{}]", parts.join(",")))
}

fn data(event: Event, context: Context) -> String {
    let queries: Vec<_> = event.request().queries().collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} {} {:?} | {} {:?} {:?} {:?}",
        event.data,
        event.event_id,
        event.event_type,
        event.event_time,
        event.event_namespace,
        event.request().method,
        event.request().path,
        queries,
        context.function_name,
        context.timeout,
        context.runtime,
        context.memory_limit,
    )
}

#[derive(Debug)]
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

fn kinds(event: Event, _: Context) -> Result<Response, Box<dyn std::error::Error>> {
    Ok(match event.request().path.as_str() {
        "/created" => Response::new(201).header("content-type", "text/css").header("X-Made-By", "me").body("body"),
        "/empty" => Response::new(204).body("none of this"),
        "/own" => Response::new(200).header("Content-Length", "99").header("Connection", "close").body("own"),
        "/split" => Response::new(200).header("X", "a\r\nSet-Cookie: b"),
        "/status" => Response::new(42),
        "/error" => Err("it is\nnot to be")?,
        "/mute" => Err(Mute.to_string())?,
        "/number" => Response::new(200).body("x".parse::<u8>()?.to_string()),
        "/panic" => panic!("it {}", "panicked"),
        "/payload" => std::panic::panic_any(7),
        "/thread" => {
            let joined = thread::spawn(|| panic!("elsewhere")).join();
            Response::new(200).body(if joined.is_err() { "caught" } else { "lost" })
        }
        path => Response::new(404).body(path),
    })
}

/// Is ready when another thread has said so, as with the futures of a runtime.
async fn later(event: Event, _: Context) -> Result<String, String> {
    let mut started = false;
    let wait = std::future::poll_fn(move |context| {
        if started {
            return Poll::Ready(());
        }
        started = true;
        let waker = context.waker().clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        Poll::Pending
    });
    let wait: Pin<Box<dyn Future<Output = ()>>> = Box::pin(wait);
    wait.await;
    if event.data.is_empty() { Err("nobody is there".to_owned()) } else { Ok(format!("later {}", event.text())) }
}

/// Answers when two requests are here.
fn meet(_: Event, _: Context) -> &'static str {
    static BOTH: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
    let mut here = BOTH.0.lock().expect("no panic");
    *here += 1;
    BOTH.1.notify_all();
    let (here, _) =
        BOTH.1.wait_timeout_while(here, Duration::from_secs(10), |here| *here < 2).expect("no panic");
    if *here < 2 { "alone" } else { "met" }
}

fn slow(_: Event, _: Context) -> String {
    eprintln!("begun");
    thread::spawn(|| thread::sleep(Duration::from_secs(600)));
    thread::sleep(Duration::from_secs(1));
    "complete".to_owned()
}

fn address(event: Event, _: Context) -> String {
    event.request().remote_addr.to_string()
}
