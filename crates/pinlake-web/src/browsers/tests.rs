//! Which browsers' requests are refused.

use axum::http::HeaderValue;

use super::*;

fn refused(method: &Method, headers: &[(&'static str, &'static str)]) -> Option<String> {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let known = Known { hosts: vec!["lake.example".to_owned()], origins: vec!["https://app.example".to_owned()] };
    why_not(method, &headers, &known)
}

#[test]
fn another_sites_page_changes_nothing() {
    let host = ("host", "127.0.0.1:8082");
    for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://example.com"), ("origin", "null"), ("origin", "")] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert!(refused(&method, &[host, foreign]).unwrap().contains("another site's page"), "{foreign:?}");
        }
        assert_eq!(refused(&Method::GET, &[host, foreign]), None, "a browser keeps the answer from the page");
    }
    for own in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "http://127.0.0.1:8082")] {
        assert_eq!(refused(&Method::POST, &[host, own]), None, "{own:?}");
    }
}

#[test]
fn the_page_of_an_allowed_origin_may_change_something() {
    let (host, site) = (("host", "127.0.0.1:8082"), ("sec-fetch-site", "cross-site"));
    let post = |headers: &[(&'static str, &'static str)]| refused(&Method::POST, headers);
    assert_eq!(post(&[host, site, ("origin", "https://app.example")]), None);
    assert_eq!(post(&[host, ("origin", "https://app.example")]), None);
    for foreign in ["https://app.example.evil", "http://app.example", "https://app.example:8443", "*"] {
        assert!(post(&[host, site, ("origin", foreign)]).is_some(), "{foreign}");
    }
    assert!(
        post(&[("host", "rebound.example"), ("origin", "https://app.example")]).is_some(),
        "the server's name counts nevertheless"
    );
}

/// As a server puts them together: one has a fallback, and both have something at `/`.
#[tokio::test]
async fn two_routers_are_guarded_each_in_its_own_way() {
    use axum::body::Body;
    use axum::routing::{get, post};
    use tower::ServiceExt;

    let ok = || async { "ok" };
    let doors = Router::new().route("/", post(ok)).fallback(ok);
    let api = Router::new().route("/", get(ok)).route("/api", post(ok));
    let router = guarded(doors, Vec::new(), vec!["*".to_owned()]).merge(guarded(api, Vec::new(), Vec::new()));
    let status = async |method: &str, path: &str| {
        let request =
            Request::builder().method(method).uri(path).header("host", "localhost").header("origin", "https://app.example");
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(status("POST", "/").await, 200);
    assert_eq!(status("POST", "/topics/t").await, 200);
    assert_eq!(status("GET", "/").await, 200);
    assert_eq!(status("POST", "/api").await, 403);
}

#[test]
fn a_browser_names_the_server_by_a_name_that_is_its_own() {
    let asks = |host: &'static str| refused(&Method::GET, &[("host", host), ("sec-fetch-site", "same-origin")]);
    for known in ["127.0.0.1:8082", "[::1]:8082", "10.1.2.3", "localhost:8082", "LOCALHOST", "a.localhost", "Lake.Example:80"] {
        assert_eq!(asks(known), None, "{known}");
    }
    for unknown in ["rebound.example:8082", "localhost.example", "127.0.0.1.example", "", "a b"] {
        assert!(asks(unknown).unwrap().contains("add it to http.hosts"), "{unknown}");
    }
}

#[test]
fn programs_are_not_concerned() {
    assert_eq!(refused(&Method::POST, &[("host", "pinlake.internal:8082")]), None);
    assert_eq!(refused(&Method::POST, &[]), None);
}
