//! Guards everything that is served against other sites' pages, which send requests through their readers' browsers. Browsers say who
//! asks; programs say nothing of the kind and are not concerned.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::failure::Failure;

/// The same router behind the guard: a browser's request is answered 403 if another site's page would change something by it, or
/// if it names the server by a name that is neither an address, `localhost` nor one of `hosts`. The second is for names
/// that their owners point at this machine after their page was loaded: to the browser such a page is the server's own. Pages of
/// `origins` (`*` for all) may do what the server's own may.
pub fn guarded(router: Router, hosts: Vec<String>, origins: Vec<String>) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(Known { hosts, origins }), guard))
}

/// The server's names, and whose pages may change something.
struct Known {
    hosts: Vec<String>,
    origins: Vec<String>,
}

async fn guard(State(known): State<Arc<Known>>, request: Request, next: Next) -> Response {
    match why_not(request.method(), request.headers(), &known) {
        Some(reason) => Failure::refused(StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn why_not(method: &Method, headers: &HeaderMap, known: &Known) -> Option<String> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (site, origin) = (text(&FETCH_SITE), text(&header::ORIGIN));
    if site.is_none() && origin.is_none() {
        return None;
    }
    let host = text(&header::HOST).unwrap_or_default();
    if !is_known(host, &known.hosts) {
        return Some(format!("this server is not known as '{host}': if that is its name, add it to http.hosts"));
    }
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let foreign = match (site, origin) {
        (Some(site), _) => site == "cross-site",
        (None, Some(origin)) => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
        (None, None) => false,
    };
    let is = |allowed: &String, origin: &str| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
    let allowed = origin.is_some_and(|origin| known.origins.iter().any(|allowed| is(allowed, origin)));
    let reason = "the request comes from another site's page, by its Sec-Fetch-Site or Origin header; programs send neither";
    (foreign && !reads && !allowed).then(|| reason.to_owned())
}

/// Whether the server is what `host`, with or without a port, names.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().to_ascii_lowercase();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || name == "localhost" || name.ends_with(".localhost") || hosts.iter().any(|host| host.eq_ignore_ascii_case(&name))
}
