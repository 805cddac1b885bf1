//! `ringback health`: asks a running node whether it is ready. Made for container health checks.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::{Exit, terminal::Terminal};

/// How long the node may take to answer: a probe that waits longer is as good as a no.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's listener for metrics and health
    #[arg(long, value_name = "URL", env = "RINGBACK_OPS", default_value = "http://127.0.0.1:9090")]
    pub(super) ops: String,
    /// Write {"ready", "reasons"} instead of a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What `/health/ready` answers, with 200 and 503 alike.
#[derive(Debug, Deserialize)]
struct Answer {
    reasons: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let (ready, reasons) = match ask(&arguments.ops).await {
        Ok(reasons) => (reasons.is_empty(), reasons),
        Err(error) => (false, vec![format!("no answer: {:#}", anyhow::Error::from(error.without_url()))]),
    };
    if arguments.json {
        terminal.say(&serde_json::json!({ "ready": ready, "reasons": reasons }).to_string())?;
    } else if ready {
        terminal.say("ready")?;
    } else {
        terminal.say(&format!("not ready: {}", reasons.join(", ")))?;
    }
    Ok(if ready { Exit::Done } else { Exit::Failed })
}

/// Why the node is not ready; nothing if it is.
async fn ask(ops: &str) -> reqwest::Result<Vec<String>> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
    let response = client.get(format!("{}/health/ready", ops.trim_end_matches('/'))).send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(Vec::new());
    }
    let unexplained = |_| Answer { reasons: vec![format!("status {status}")] };
    Ok(response.json::<Answer>().await.unwrap_or_else(unexplained).reasons)
}
