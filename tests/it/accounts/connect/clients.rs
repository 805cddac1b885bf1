//! The libraries that existing applications use, as they are.

use std::process::Command;

use ringback::testing::origin::Origin;

use super::Scene;
use crate::accounts::clients::{run, succeeded, under_target};

async fn driven_by(command: impl FnOnce() -> Command) {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let app = scene.app(&["get-all", "post-all"], &[("FriendlyName", "Switchboard")]).await;
    let other = scene.app(&["get-all"], &[]).await;
    let on = scene.allow(&app, &["get-all", "post-all"]).await;
    let mut command = command();
    command.arg(scene.node.url(""));
    for who in [&scene.developer, &scene.user] {
        command.args([&who.name, &who.secret]);
    }
    command.args([app["sid"].as_str().unwrap(), other["sid"].as_str().unwrap(), &on.sid.to_string()]);
    succeeded(&run(command).await);
    scene.stop().await;
}

#[tokio::test]
async fn the_library_for_python_acts_for_a_user() {
    driven_by(|| {
        let mut command = Command::new(under_target("python/bin/python"));
        command.arg("-c").arg(include_str!("clients.py"));
        command
    })
    .await;
}

#[tokio::test]
async fn the_library_for_node_acts_for_a_user() {
    driven_by(|| {
        let mut command = Command::new("node");
        command.arg("-e").arg(include_str!("clients.js")).arg("--").current_dir(under_target("node"));
        command
    })
    .await;
}
