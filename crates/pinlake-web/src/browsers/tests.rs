//! Which browsers' requests are refused.

use axum::http::HeaderValue;

use super::*;

fn refused(method: &Method, headers: &[(&'static str, &'static str)]) -> Option<String> {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    why_not(method, &headers, &["lake.example".to_owned()])
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
