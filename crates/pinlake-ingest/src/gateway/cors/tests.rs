//! Browsers' questions.

use axum::http::Request;

use super::*;

fn asked(method: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri("/topics/t"), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

/// What an answer says, but for its length and type.
fn said(response: &Response) -> Vec<String> {
    let headers = response.headers().iter().filter(|(name, _)| name.as_str().starts_with("access") || *name == header::VARY);
    headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", "https://app.example"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-headers", "content-type,x-api-key"),
];

#[test]
fn a_page_of_an_allowed_origin_may_send_what_it_asks_for() {
    for (allowed, told) in
        [("https://app.example", "https://app.example"), ("*", "*"), ("HTTPS://APP.example", "https://app.example")]
    {
        let cors = Cors::new(&["https://other.example".to_owned(), allowed.to_owned()]);
        let response = cors.preflight(&asked("OPTIONS", &PREFLIGHT)).unwrap();
        assert_eq!(response.status(), 204);
        let vary = (allowed != "*").then_some("vary: Origin".to_owned());
        let expected = vary.into_iter().chain([
            format!("access-control-allow-origin: {told}"),
            "access-control-expose-headers: x-amzn-ErrorType,Retry-After,Date".to_owned(),
            "access-control-allow-methods: PUT".to_owned(),
            "access-control-allow-headers: content-type,x-api-key".to_owned(),
            "access-control-max-age: 172800".to_owned(),
        ]);
        let mut expected: Vec<String> = expected.collect();
        let mut told = said(&response);
        expected.sort();
        told.sort();
        assert_eq!(told, expected);
    }
}

#[test]
fn a_page_of_another_origin_may_not() {
    for origin in ["https://app.example.evil", "https://app.example:8443", "http://app.example", "null", ""] {
        let cors = Cors::new(&["https://app.example".to_owned()]);
        let mut headers = PREFLIGHT;
        headers[0].1 = origin;
        let response = cors.preflight(&asked("OPTIONS", &headers)).unwrap();
        assert_eq!((response.status(), said(&response)), (StatusCode::FORBIDDEN, vec![]), "{origin}");
    }
}

#[test]
fn what_is_no_browsers_question_is_for_the_doors() {
    let cors = Cors::new(&["*".to_owned()]);
    assert!(cors.preflight(&asked("POST", &PREFLIGHT)).is_none());
    assert!(cors.preflight(&asked("OPTIONS", &PREFLIGHT[..1])).is_none());
    assert!(cors.preflight(&asked("OPTIONS", &PREFLIGHT[1..])).is_none());
    assert!(Cors::new(&[]).preflight(&asked("OPTIONS", &PREFLIGHT)).is_none());
}

#[test]
fn answers_say_who_may_see_them() {
    let told = |origins: &[&str], asks: &[(&str, &str)]| {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let mut response = StatusCode::OK.into_response();
        Cors::new(&origins).allow(&asked("PUT", asks).headers, response.headers_mut());
        said(&response)
    };
    let origin = [("origin", "https://app.example")];
    let exposed = "access-control-expose-headers: x-amzn-ErrorType,Retry-After,Date";
    assert_eq!(told(&[], &origin), Vec::<String>::new());
    assert_eq!(
        told(&["https://app.example"], &origin),
        ["vary: Origin", "access-control-allow-origin: https://app.example", exposed]
    );
    assert_eq!(told(&["https://b.example"], &origin), ["vary: Origin"]);
    assert_eq!(told(&["https://b.example"], &[]), ["vary: Origin"]);
    assert_eq!(told(&["*"], &origin), ["access-control-allow-origin: *", exposed]);
    assert_eq!(told(&["*"], &[]), Vec::<String>::new());
}
