//! The usual runtime of WebRTC, whose sockets keep more.

use crate::calls::SOCKET_BYTES;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, default_runtime,
};

/// The runtime on which data channels are as fast as the line; `None` outside of one.
#[must_use]
pub fn runtime() -> Option<Arc<dyn Runtime>> {
    Some(Arc::new(Roomy(default_runtime()?)))
}

#[derive(Debug)]
struct Roomy(Arc<dyn Runtime>);

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for Roomy {
    fn spawn(&self, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn(future)
    }

    fn spawn_reactor(&self, pool: usize, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn_reactor(pool, future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        {
            let socket = SockRef::from(&socket);
            // What the system does not allow is no reason to have no link.
            let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
            let _ = socket.set_send_buffer_size(SOCKET_BYTES);
        }
        self.0.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.0.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, to: SocketAddr) -> Later<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.0.connect_tcp(to)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Later<'a, io::Result<Vec<SocketAddr>>> {
        self.0.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Later<'static, ()> {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.0.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
    }

    fn yield_now(&self) -> Later<'static, ()> {
        self.0.yield_now()
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}
