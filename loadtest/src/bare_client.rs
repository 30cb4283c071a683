//! The load generator's side of the bare relay.

use crate::bare::{Figures, KIND_ACK, Ready};
use crate::drive::{Dialect, Link, MESSAGE_BYTES, Seen, put_filler};
use crate::process::{Process, resident_kib};
use crate::target::{Target, Totals, client_config};
use anyhow::{Context, Result};
use bytes::{Buf, BufMut, BytesMut};
use std::path::Path;
use tokio::process::Command;

/// A bare relay in its own process.
pub(crate) struct Bare {
    process: Process,
    port: u16,
    client: quinn::ClientConfig,
}

/// How a connection to it speaks: to whom its messages go.
pub(crate) struct BareDialect {
    to: u32,
}

impl Bare {
    pub(crate) async fn start(dir: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-relay").arg(dir);
        let mut process = Process::start(command)?;
        let ready: Ready = serde_json::from_str(&process.line().await?)?;
        let client = client_config(&ready.certificate, b"bare")?;
        Ok(Self { process, port: ready.port, client })
    }

    async fn connect(&self, endpoint: &quinn::Endpoint, own: u32, to: u32) -> Result<Link<BareDialect>> {
        let address = ([127, 0, 0, 1], self.port).into();
        let connection = endpoint.connect_with(self.client.clone(), address, "localhost")?.await?;
        let (mut send, receive) = connection.open_bi().await?;
        send.write_all(&own.to_be_bytes()).await?;
        let dialect = BareDialect { to };
        Ok(Link { connection, send, receive, buffer: BytesMut::new(), dialect })
    }
}

impl Target for Bare {
    type Dialect = BareDialect;
    const NAME: &'static str = "bare quinn relay";

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    async fn pairs(
        &mut self,
        endpoints: &[quinn::Endpoint],
        count: usize,
    ) -> Result<Vec<(Link<BareDialect>, Link<BareDialect>)>> {
        let mut pairs = Vec::new();
        for (index, endpoint) in (0..u32::try_from(count)?).zip(endpoints.iter().cycle()) {
            let (a, b) = (2 * index, 2 * index + 1);
            pairs.push((self.connect(endpoint, a, b).await?, self.connect(endpoint, b, a).await?));
        }
        Ok(pairs)
    }

    async fn idle(&mut self, endpoints: &[quinn::Endpoint], count: usize) -> Result<Vec<Link<BareDialect>>> {
        let mut links = Vec::new();
        for (index, endpoint) in (0..u32::try_from(count)?).zip(endpoints.iter().cycle()) {
            links.push(self.connect(endpoint, index, index).await?);
        }
        Ok(links)
    }

    async fn prepare_idle(&mut self, _count: usize) -> Result<u64> {
        resident_kib(self.pid())
    }

    async fn totals(&mut self) -> Result<Totals> {
        let figures: Figures =
            serde_json::from_str(&self.process.ask().await?).context("the bare relay's figures")?;
        Ok(Totals { fsync_seconds: figures.fsync_seconds })
    }

    async fn finish(self) -> Result<()> {
        self.process.finish().await
    }
}

impl Dialect for BareDialect {
    fn write_message(&mut self, out: &mut BytesMut, sent_at_us: u64) {
        out.put_u16(u16::try_from(4 + MESSAGE_BYTES).expect("256 bytes and a number fit in 16 bits"));
        out.put_u32(self.to);
        put_filler(out, sent_at_us, 0);
    }

    fn read(&mut self, buffer: &mut BytesMut, seen: &mut Vec<Seen>) -> Result<()> {
        while let Some(length) = buffer.first_chunk::<2>().map(|head| usize::from(u16::from_be_bytes(*head)))
        {
            if buffer.len() < 2 + length {
                break;
            }
            buffer.advance(2);
            let mut message = buffer.split_to(length);
            let kind = message.get_u8();
            seen.push(if kind == KIND_ACK { Seen::Acknowledged } else { Seen::Delivered(message.get_u64()) });
        }
        Ok(())
    }
}
