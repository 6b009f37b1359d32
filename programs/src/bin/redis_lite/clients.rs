//! The connected clients, for CLIENT and INFO.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
};

use nio_loop::{Handle, Time};

use crate::transaction::Transaction;

/// The connected clients, and counts.
#[derive(Default)]
pub(crate) struct Clients {
    connected: RefCell<BTreeMap<u64, Rc<Client>>>,
    /// The number of clients so far, and of their commands.
    pub(crate) connections: Cell<u64>,
    pub(crate) commands: Cell<u64>,
}

/// One connected client.
pub(crate) struct Client {
    pub(crate) id: u64,
    handle: Handle,
    /// The address of the client, and of the server.
    addresses: [Option<SocketAddr>; 2],
    since: Time,
    last: Cell<Time>,
    command: Cell<&'static str>,
    pub(crate) name: RefCell<String>,
    /// The name and version of the client's library.
    pub(crate) library: [RefCell<String>; 2],
    pub(crate) transaction: RefCell<Option<Transaction>>,
}

impl Client {
    /// Notes a command of the client.
    pub(crate) fn sends(&self, command: &'static str) {
        self.command.set(command);
        self.last.set(self.handle.now());
    }

    /// The line about the client in CLIENT LIST.
    pub(crate) fn line(&self) -> String {
        let [address, here] = self.addresses.map(|address| match address {
            Some(address) => address.to_string(),
            None => "?:0".into(),
        });
        let now = self.handle.now();
        let [age, idle] = [self.since, self.last.get()].map(|time| (now - time).as_secs());
        let queued = match &*self.transaction.borrow() {
            Some(transaction) => transaction.len() as i64,
            None => -1,
        };
        let flags = if queued < 0 { "N" } else { "x" };
        format!(
            "id={} addr={address} laddr={here} name={} age={age} idle={idle} flags={flags} db=0 sub=0 \
             psub=0 multi={queued} cmd={} user=default lib-name={} lib-ver={}\n",
            self.id,
            self.name.borrow(),
            self.command.get(),
            self.library[0].borrow(),
            self.library[1].borrow(),
        )
    }
}

impl Clients {
    /// Adds a client until the guard is dropped.
    pub(crate) fn enter(
        self: &Rc<Clients>,
        handle: &Handle,
        addresses: [Option<SocketAddr>; 2],
    ) -> Connected {
        self.connections.set(self.connections.get() + 1);
        let now = handle.now();
        let client = Rc::new(Client {
            id: self.connections.get(),
            handle: handle.clone(),
            addresses,
            since: now,
            last: Cell::new(now),
            command: Cell::new("NULL"),
            name: RefCell::default(),
            library: Default::default(),
            transaction: RefCell::default(),
        });
        let entered = Rc::clone(&client);
        self.connected.borrow_mut().insert(client.id, entered);
        let clients = Rc::clone(self);
        Connected { clients, client }
    }

    pub(crate) fn len(&self) -> usize {
        self.connected.borrow().len()
    }

    /// The lines of CLIENT LIST about the selected clients.
    pub(crate) fn lines(&self, is_meant: impl Fn(u64) -> bool) -> String {
        let connected = self.connected.borrow();
        let meant = connected.values().filter(|client| is_meant(client.id));
        meant.map(|client| client.line()).collect()
    }
}

/// Removes a client when it is dropped.
pub(crate) struct Connected {
    pub(crate) clients: Rc<Clients>,
    pub(crate) client: Rc<Client>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.clients.connected.borrow_mut().remove(&self.client.id);
    }
}
