//! Addresses behind nothing, a stage, and proxies.

use axum::http::Request;

use super::*;

fn uri(path: &str, headers: &[(&str, &str)], advertised: Option<&str>) -> String {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    of(&request.body(()).unwrap().into_parts().0, advertised, "consumers")
}

#[test]
fn it_is_where_the_client_comes_from() {
    for (path, headers, advertised, server) in [
        ("/consumers/g%201", &[("host", "a:8082")][..], None, "http://a:8082/"),
        ("/prod//consumers/g%201/", &[("host", "[::1]:8082")], None, "http://[::1]:8082/prod/"),
        ("/consumers/g", &[], None, "http://localhost/"),
        ("/consumers/g", &[("host", "a"), ("x-forwarded-host", "b, c"), ("x-forwarded-proto", "https")], None, "https://b/"),
        ("/consumers/g", &[("x-forwarded-host", "b"), ("x-forwarded-port", "8443")], None, "http://b:8443/"),
        ("/consumers/g", &[("x-forwarded-host", "b"), ("x-forwarded-port", "80")], None, "http://b/"),
        ("/consumers/g", &[("x-forwarded-host", "b:1"), ("x-forwarded-port", "2")], None, "http://b:1/"),
        ("/consumers/g", &[("host", "b"), ("x-forwarded-prefix", "/kafka/")], None, "http://b/kafka/"),
        ("/consumers/g", &[("host", "a\"b"), ("x-forwarded-proto", "javascript")], None, "http://localhost/"),
        ("/x/consumers/g", &[("host", "a")], Some("https://kafka.example/rest/"), "https://kafka.example/rest/"),
    ] {
        assert_eq!(uri(path, headers, advertised), server.trim_end_matches('/'));
    }
}

#[test]
fn names_stand_in_paths() {
    assert_eq!(part("a-b.c_d~1"), "a-b.c_d~1");
    assert_eq!(part("i/ä 1"), "i%2F%C3%A4%201");
}
