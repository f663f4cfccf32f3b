//! The in-memory log keeps the contract of the log.

#[tokio::test]
async fn the_memory_log_keeps_the_contract() {
    pinlake_core::testing::log_contract::run(|| async { pinlake_core::MemoryLog::new() }).await;
}
