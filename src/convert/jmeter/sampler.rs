//! HTTP Request samplers.

use super::reader::PlanReader;
use super::scope::Scope;
use crate::convert::draft::StepDraft;
use crate::convert::http;
use crate::convert::parts::{Multipart, RequestParts};
use crate::convert::template::{Template, without_secret};
use crate::convert::xml::Element;
use crate::plan::METHODS;

/// Methods whose parameters are in the body; those of all others are in the query.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

impl PlanReader<'_, '_> {
    /// The step of a sampler; `None`, with a note, where a plan cannot send it.
    pub(super) fn sampler(&mut self, element: &Element, scope: &Scope<'_>) -> Option<StepDraft> {
        let method = self.first(element, scope, "HTTPSampler.method");
        let method = self.texts().fixed(method, element.line);
        let method = method.filter(|it| !it.is_empty()).unwrap_or_else(|| "GET".to_owned());
        let method = method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            self.lost(element, "a request with a method that a plan does not have");
            return None;
        }
        let address = self.address(element, scope);
        let path = self.target.path(&address, element.line, &mut self.artifact.notes)?;
        self.timeout(element);
        let mut parts = RequestParts::default();
        parts.request.method = method;
        parts.request.headers = scope.headers.clone();
        for (name, text) in &scope.tags {
            parts.request.tag(name, text);
        }
        self.arguments(element, scope, &mut parts);
        parts.step.think = scope.think;
        let follows = ["HTTPSampler.follow_redirects", "HTTPSampler.auto_redirects"];
        self.follows_redirects |= follows.iter().any(|name| element.is_set(name));
        if element.is_set("HTTPSampler.image_parser") {
            self.lost(element, "the images, scripts and styles of the page");
        }
        let name = self.texts().fixed(element.named(), element.line);
        let name = name.unwrap_or_else(|| element.named().to_owned());
        let mut step = parts.finish(path, Some(&name), [], &mut self.names);
        for response in &scope.responses {
            self.response(response, &mut step);
        }
        Some(step)
    }

    /// A property of the sampler, or of the innermost defaults that have it.
    fn first<'p>(&self, element: &'p Element, scope: &Scope<'p>, name: &str) -> &'p str {
        let all = [element].into_iter().chain(scope.defaults.iter().rev().copied());
        all.map(|element| element.prop(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn address(&mut self, element: &Element, scope: &Scope<'_>) -> Template {
        let line = element.line;
        let path = self.first(element, scope, "HTTPSampler.path");
        let path = self.texts().read(path, line);
        let has_host = path.leading().contains("://");
        let domain = self.first(element, scope, "HTTPSampler.domain");
        if has_host || domain.is_empty() {
            return path;
        }
        let protocol = self.first(element, scope, "HTTPSampler.protocol");
        let protocol = self.texts().fixed(protocol, line).unwrap_or_default();
        let is_https = protocol.eq_ignore_ascii_case("https");
        let mut address = Template::plain(if is_https { "https://" } else { "http://" });
        address.append(self.texts().read(domain, line));
        let port = self.first(element, scope, "HTTPSampler.port");
        // JMeter's own forms write 0 for the usual port.
        if !matches!(port, "" | "0") {
            address.text(":");
            address.append(self.texts().read(port, line));
        }
        if !path.leading().starts_with('/') {
            address.text("/");
        }
        address.append(path);
        address
    }

    /// The parameters, or the body, of the sampler and its defaults.
    fn arguments(&mut self, element: &Element, scope: &Scope<'_>, parts: &mut RequestParts) {
        let lists = [element].into_iter().chain(scope.defaults.iter().copied());
        let arguments: Vec<&Element> = lists
            .filter_map(|element| element.property("HTTPsampler.Arguments"))
            .flat_map(|list| list.collection("Arguments.arguments"))
            .collect();
        let files: Vec<&Element> = element
            .property("HTTPsampler.Files")
            .into_iter()
            .flat_map(|list| list.collection("HTTPFileArgs.files"))
            .filter(|file| !file.prop("File.path").is_empty())
            .collect();
        let has_body = WITH_BODY.contains(&parts.request.method.as_str());
        let is_form_with_files = element.is_set("HTTPSampler.DO_MULTIPART_POST")
            || files.iter().any(|file| !file.prop("File.paramname").is_empty());
        if element.is_set("HTTPSampler.postBodyRaw") {
            let mut body = Template::default();
            for argument in arguments {
                body.append(self.texts().read(argument.raw_prop("Argument.value"), argument.line));
            }
            self.body(element, &body, parts);
        } else if has_body && is_form_with_files {
            self.form_with_files(&arguments, &files, parts);
        } else if let ([file], true) = (files.as_slice(), has_body) {
            if let Some(text) = self.file(file) {
                self.body(element, &Template::plain(&text), parts);
            }
        } else if has_body {
            let mut form = Template::default();
            for argument in arguments {
                let (name, value) = self.argument(argument);
                form.text(if form.is_empty() { "" } else { "&" });
                form.append(name);
                form.text("=");
                form.append(value);
            }
            if !form.is_empty() {
                parts.body = Some((form, Some("application/x-www-form-urlencoded")));
            }
        } else {
            for argument in arguments {
                let (name, value) = self.argument(argument);
                parts.query.push((name.shown(), value));
            }
        }
    }

    /// Name and value of a parameter, encoded unless they are already.
    fn argument(&mut self, argument: &Element) -> (Template, Template) {
        let is_encoded = !argument.is_set("HTTPArgument.always_encode");
        let encode = |text: &str| match is_encoded {
            true => http::sendable(text),
            false => http::encoded(text),
        };
        let name = argument.prop("Argument.name");
        let value = self.texts().read(argument.raw_prop("Argument.value"), argument.line);
        let value = without_secret(name, value.map_text(encode));
        (self.texts().read(name, argument.line).map_text(encode), value)
    }

    fn body(&mut self, element: &Element, text: &Template, parts: &mut RequestParts) {
        if text.is_empty() {
            return;
        }
        let kind = parts.request.headers.iter().find(|(name, _)| name == "content-type");
        let kind = kind.map_or_else(String::new, |(_, kind)| kind.shown());
        let (body, secrets) = http::body_of(text, &kind);
        if !secrets.is_empty() {
            let text = "replaced a secret in the body by an environment variable";
            self.artifact.notes.at(element.line, text);
        }
        parts.body = Some((body, None));
    }

    fn form_with_files(
        &mut self,
        arguments: &[&Element],
        files: &[&Element],
        parts: &mut RequestParts,
    ) {
        let mut form = Multipart::default();
        for argument in arguments {
            let value = self.texts().read(argument.raw_prop("Argument.value"), argument.line);
            form.field(argument.prop("Argument.name"), value);
        }
        for file in files {
            if let Some(text) = self.file(file) {
                let (name, kind) = (file.prop("File.paramname"), file.prop("File.mimetype"));
                form.file(name, file.prop("File.path"), kind, &text);
            }
        }
        form.finish(parts);
    }

    /// The text of a file that a sampler sends.
    fn file(&mut self, file: &Element) -> Option<String> {
        let path = self.texts().fixed(file.prop("File.path"), file.line);
        let text = path
            .ok_or_else(|| "its name is not known".to_owned())
            .and_then(|path| self.artifact.body_file(&path));
        text.map_err(|why| self.lost(file, &format!("a file that is sent: {why}"))).ok()
    }
}
