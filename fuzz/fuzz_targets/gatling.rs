#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kneepoint_fuzz::gatling(bytes));
