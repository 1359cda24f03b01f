use super::*;

const OPENING: Opening = Opening { json: "\",\"message\":\"m\"", plain: " m" };

fn line(format: LogFormat, fill: impl FnOnce(&mut Line<'_>)) -> String {
    let mut out = Vec::new();
    let mut line = Line::begin(&mut out, format, &mut TimeText::default(), 1_795_253_400_000_042, OPENING);
    fill(&mut line);
    line.finish();
    String::from_utf8(out).expect("a line is text")
}

#[test]
fn both_forms_say_the_same() {
    let fill = |line: &mut Line<'_>| {
        line.text(label!("text"), "a \"b\"\n\u{1}é\\")
            .text(label!("word"), "b")
            .clean(label!("clean"), b"c")
            .number(label!("number"), 42)
            .address(label!("v4"), [10, 0, 200, 1].into())
            .address(label!("v6"), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into())
            .field("any", &serde_json::json!(true));
    };
    let json = line(LogFormat::Json, fill);
    let read: serde_json::Value = serde_json::from_str(&json).expect("the line is JSON");
    let wanted = serde_json::json!({
        "timestamp": "2026-11-21T09:30:00.000042Z", "message": "m", "text": "a \"b\"\n\u{1}é\\", "word": "b",
        "clean": "c", "number": 42, "v4": "10.0.200.1", "v6": "2001:db8::1", "any": true,
    });
    assert_eq!(read, wanted);
    let wanted = "2026-11-21T09:30:00.000Z m text=\"a \\\"b\\\"\\n\\u{1}é\\\\\" word=b clean=c number=42 \
                  v4=10.0.200.1 v6=2001:db8::1 any=true\n";
    assert_eq!(line(LogFormat::Plain, fill), wanted);
}

#[test]
fn durations_have_the_digits_that_tell_something() {
    for (nanoseconds, wanted) in [
        (0, "0.00ms"),
        (4_999, "0.00ms"),
        (5_000, "0.01ms"),
        (1_230_000, "1.23ms"),
        (9_994_999, "9.99ms"),
        (9_995_000, "10ms"),
        (10_499_999, "10ms"),
        (61_000_000_000, "61000ms"),
    ] {
        let text = line(LogFormat::Plain, |line| {
            line.milliseconds(label!("d"), Duration::from_nanos(nanoseconds));
        });
        assert!(text.ends_with(&format!(" d={wanted}\n")), "{nanoseconds}: {text}");
    }
}

#[test]
fn addresses_are_written_as_the_library_does() {
    for octets in [[0, 0, 0, 0], [127, 0, 0, 1], [10, 20, 30, 99], [100, 101, 110, 199], [255, 255, 255, 255]] {
        let address = Ipv4Addr::from(octets);
        let (text, length) = v4_text(address);
        assert_eq!(std::str::from_utf8(&text[..length]), Ok(address.to_string().as_str()));
    }
}

#[test]
fn every_byte_that_json_escapes_is_found_wherever_it_stands() {
    for length in 1..20 {
        for place in 0..length {
            for byte in 0..=255_u8 {
                let mut bytes = vec![b'!'; length];
                bytes[place] = byte;
                let wanted = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(needs_escape(&bytes), wanted, "{byte} at {place} of {length}");
            }
        }
    }
}

#[test]
fn the_second_is_written_anew_when_it_changes() {
    let mut time = TimeText::default();
    for (unix_us, wanted) in [(0, "1970-01-01T00:00:00."), (1_795_253_401_999_999, "2026-11-21T09:30:01.")] {
        let (text, fraction) = time.of(unix_us);
        assert_eq!(std::str::from_utf8(text), Ok(wanted));
        assert_eq!(fraction, 1_000_000 + unix_us % 1_000_000);
    }
}
