//! Crates that read and write by the traits of futures-io or hyper, tested on streams of nio.

#![cfg(feature = "https")]

use std::{convert::Infallible, future::Future, sync::Arc};

use async_tungstenite::{accept_async, client_async, tungstenite::Message};
use futures::{SinkExt, StreamExt};
use futures_rustls::{
    TlsAcceptor, TlsConnector,
    pki_types::{PrivateKeyDer, ServerName},
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, client, server, service::service_fn};
use nio_loop::EventLoop;
use nio_net::{TcpListener, TcpStream};
use tokio_util::{
    codec::{Framed, LengthDelimitedCodec, LinesCodec},
    compat::FuturesAsyncReadCompatExt,
};

/// Runs both ends of a connection, each as a task.
fn on_both<A, B>(server: impl FnOnce(TcpStream) -> A, client: impl FnOnce(TcpStream) -> B)
where
    A: Future<Output = ()> + 'static,
    B: Future<Output = ()> + 'static,
{
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let ended = event_loop.block_on(async {
        let listener = TcpListener::bind(&handle, "127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(&handle, listener.local_addr().unwrap());
        let (stream, accepted) = (connecting.await.unwrap(), listener.accept().await.unwrap());
        let server = handle.spawn(server(accepted.0));
        handle.spawn(client(stream)).await.unwrap();
        server.await.unwrap();
    });
    ended.unwrap();
}

#[test]
fn codecs_of_tokio_util_frame_lines_and_lengths() {
    on_both(
        |stream| async move {
            let mut lines = Framed::new(stream.compat(), LinesCodec::new());
            while let Some(line) = lines.next().await {
                lines.send(line.unwrap().to_uppercase()).await.unwrap();
            }
        },
        |stream| async move {
            let mut lines = Framed::new(stream.compat(), LinesCodec::new());
            for (said, heard) in [("hello", "HELLO"), ("again", "AGAIN")] {
                lines.send(said).await.unwrap();
                assert_eq!(lines.next().await.unwrap().unwrap(), heard);
            }
        },
    );
    on_both(
        |stream| async move {
            let (mut sink, frames) =
                Framed::new(stream.compat(), LengthDelimitedCodec::new()).split();
            let mut frames = frames.map(|frame| frame.map(tokio_util::bytes::BytesMut::freeze));
            sink.send_all(&mut frames).await.unwrap();
        },
        |stream| async move {
            let mut frames = Framed::new(stream.compat(), LengthDelimitedCodec::new());
            let frame = Bytes::from(vec![7; 1_000_000]);
            frames.send(frame.clone()).await.unwrap();
            assert_eq!(frames.next().await.unwrap().unwrap(), frame);
        },
    );
}

#[test]
fn web_sockets_of_async_tungstenite_talk() {
    on_both(
        |stream| async move {
            let mut socket = accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        },
        |stream| async move {
            let (mut socket, _) = client_async("ws://localhost/", stream).await.unwrap();
            for message in [Message::text("hello"), Message::binary(vec![7; 1_000_000])] {
                socket.send(message.clone()).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), message);
            }
            socket.close(None).await.unwrap();
            while socket.next().await.is_some() {}
        },
    );
}

#[test]
fn hyper_serves_and_asks() {
    on_both(
        |stream| async move {
            let service = service_fn(async |request: Request<_>| {
                let body = Full::new(Bytes::from(request.uri().path().to_owned()));
                Ok::<_, Infallible>(Response::new(body))
            });
            let connection = server::conn::http1::Builder::new().serve_connection(stream, service);
            connection.await.unwrap();
        },
        |stream| async move {
            let handle = stream.handle().clone();
            let (mut sender, connection) = client::conn::http1::handshake(stream).await.unwrap();
            handle.spawn(connection).detach();
            for path in ["/a", "/b"] {
                let request = Request::get(path).body(Full::<Bytes>::default()).unwrap();
                let response = sender.send_request(request).await.unwrap();
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, path);
            }
        },
    );
}

#[test]
fn tls_of_futures_rustls_encrypts() {
    use futures::{AsyncReadExt, AsyncWriteExt};
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    on_both(
        |stream| async move {
            let mut stream = TlsAcceptor::from(Arc::new(server))
                .accept(stream)
                .await
                .unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.close().await.unwrap();
        },
        |stream| async move {
            let name = ServerName::try_from("localhost").unwrap();
            let connecting = TlsConnector::from(Arc::new(client)).connect(name, stream);
            let mut stream = connecting.await.unwrap();
            let said = vec![7; 1_000_000];
            stream.write_all(&said).await.unwrap();
            stream.close().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert!(said == heard);
        },
    );
}
