//! `ringback check-config`: says what is wrong with the configuration and starts nothing.

use super::{Exit, serve::Settings, terminal::Terminal};

pub(super) fn run(settings: Settings, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    match settings.load() {
        Ok(_) => {
            terminal.say("configuration is valid")?;
            Ok(Exit::Done)
        }
        Err(mistakes) => {
            terminal.say(&mistakes.to_string())?;
            Ok(Exit::Usage)
        }
    }
}
