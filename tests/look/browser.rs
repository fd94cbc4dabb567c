//! Chromium, driven over its DevTools protocol.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// How long a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    next: u64,
    /// What the console said that is an error, and scripts that failed.
    pub errors: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// A browser with one empty page; `None` where there is no Chromium.
    pub fn start() -> Option<Self> {
        if !super::has("chromium") {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"])
            .args(["--disable-extensions", "--no-first-run", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = said
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("Chromium says where it listens");
        std::thread::spawn(move || said.for_each(drop));
        let place = url.trim_start_matches("ws://").split('/').next().unwrap().to_owned();
        let stream = TcpStream::connect(place).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = client(url, stream).unwrap();
        let (session, errors) = (String::new(), Vec::new());
        let mut browser = Self { child, socket, session, next: 0, errors, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let id = target["targetId"].clone();
        let session =
            browser.call("Target.attachToTarget", &json!({ "targetId": id, "flatten": true }));
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut request = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let message = self.socket.read().expect("Chromium answers");
            let Ok(text) = message.to_text() else { continue };
            let Ok(mut answer) = serde_json::from_str::<Value>(text) else { continue };
            if answer["id"] == json!(self.next) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    /// Remembers what is an error.
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.errors.push(params.to_string()),
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"].to_string());
            }
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.errors.push(params.to_string());
            }
            _ => {}
        }
    }

    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait("document.readyState === 'complete'");
    }

    /// What an expression comes to.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true. A page that is being left has none.
    pub fn wait(&mut self, expression: &str) {
        let since = Instant::now();
        loop {
            let params = json!({ "expression": expression, "returnByValue": true });
            let answer = self.call("Runtime.evaluate", &params);
            if answer["result"]["value"] == json!(true) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "never true: {expression}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn size(&mut self, width: u32, height: u32) {
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", &params);
    }

    /// The theme, and whether it is shown for paper.
    pub fn media(&mut self, scheme: &str, print: bool) {
        let params = json!({
            "media": if print { "print" } else { "" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }],
        });
        self.call("Emulation.setEmulatedMedia", &params);
    }

    pub fn mouse(&mut self, kind: &str, x: f64, y: f64, buttons: u32) {
        let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
        let params = json!({
            "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
        });
        self.call("Input.dispatchMouseEvent", &params);
    }

    /// Keeps a picture where `KNEEPOINT_PICTURES` says, for a person to look at.
    pub fn picture(&mut self, name: &str) {
        use base64::Engine as _;
        if std::env::var_os("KNEEPOINT_PICTURES").is_none() {
            return;
        }
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap();
        keep(&format!("{name}.png"), &bytes);
    }

    /// At every usual width, nothing stands out of the page, in both themes and on paper.
    pub fn fits(&mut self, name: &str) {
        for width in [320, 390, 768, 1280, 1920, 2560] {
            self.size(width, 900);
            for (theme, print) in [("light", false), ("dark", false), ("light", true)] {
                self.media(theme, print);
                let wide = self.eval("document.documentElement.scrollWidth").as_f64().unwrap();
                // No paper is as narrow as a phone.
                let is_paper = !print || width >= 1280;
                assert!(
                    !is_paper || wide <= f64::from(width),
                    "{name}: {wide} px at {width} px, {theme}"
                );
                if [320, 1280, 2560].contains(&width) {
                    let paper = if print { "-print" } else { "" };
                    self.picture(&format!("{name}-{width}-{theme}{paper}"));
                }
            }
        }
        self.media("light", false);
        self.size(1280, 900);
    }
}

/// Keeps a file where `KNEEPOINT_PICTURES` says.
pub fn keep(name: &str, bytes: &[u8]) {
    let Some(folder) = std::env::var_os("KNEEPOINT_PICTURES") else { return };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _killed = self.child.kill().is_ok();
        let _ended = self.child.wait().is_ok();
    }
}
