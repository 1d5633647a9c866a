//! The phone's task.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::config::PhoneConfig;
use super::event::PhoneEvent;
use super::{Order, PhoneError};

pub(super) async fn start(
    _config: PhoneConfig,
    _orders: mpsc::Receiver<Order>,
    _events: mpsc::Sender<PhoneEvent>,
) -> Result<SocketAddr, PhoneError> {
    Err(PhoneError::Stopped)
}
