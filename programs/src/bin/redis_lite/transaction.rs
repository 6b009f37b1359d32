//! MULTI, EXEC and DISCARD: commands that are queued and executed together.

use std::rc::Rc;

use crate::{
    commands::{Context, Fault, call},
    memory::{Charge, Memory},
    protocol::REQUEST,
};

/// The queued commands.
pub(crate) struct Transaction {
    commands: Vec<Vec<Vec<u8>>>,
    bytes: usize,
    charge: Charge,
    /// Whether a command could not be queued, so that none is executed.
    is_refused: bool,
}

impl Transaction {
    fn new(memory: &Rc<Memory>) -> Transaction {
        Transaction {
            commands: Vec::new(),
            bytes: 0,
            charge: Charge::new(memory),
            is_refused: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Queues a command. All together may be as long as one command may be.
    pub(crate) fn queue(&mut self, request: &[&[u8]]) -> Result<(), Fault> {
        if self.is_refused {
            return Ok(()); // it will not be executed, so it is not kept
        }
        let len = request.iter().map(|argument| argument.len() + OVERHEAD);
        self.bytes += OVERHEAD + len.sum::<usize>();
        if self.bytes > REQUEST {
            return Err("ERR too big a transaction".into());
        }
        if !self.charge.set(self.bytes) {
            return Err("OOM the server has no memory for so large a transaction".into());
        }
        let request = request.iter().map(|argument| argument.to_vec());
        self.commands.push(request.collect());
        Ok(())
    }

    /// Drops the queued commands. EXEC will be an error.
    pub(crate) fn refuse(&mut self) {
        self.commands = Vec::new();
        let _ = self.charge.set(0);
        self.is_refused = true;
    }
}

/// The overhead of a command, and of an argument.
const OVERHEAD: usize = 64;

pub(crate) fn multi(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    let mut transaction = context.client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    *transaction = Some(Transaction::new(&context.server.buffers));
    context.answers.status("OK");
    Ok(())
}

pub(crate) fn discard(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    let transaction = context.client.transaction.take();
    transaction.ok_or("ERR DISCARD without MULTI")?;
    context.answers.status("OK");
    Ok(())
}

pub(crate) fn exec(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    let transaction = context.client.transaction.take();
    let transaction = transaction.ok_or("ERR EXEC without MULTI")?;
    if transaction.is_refused {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    context.answers.array(transaction.commands.len());
    for request in &transaction.commands {
        let request: Vec<_> = request.iter().map(Vec::as_slice).collect();
        call(context, &request);
    }
    Ok(())
}
