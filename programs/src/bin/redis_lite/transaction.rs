//! MULTI, EXEC and DISCARD: commands that are queued and executed together.

use crate::{
    commands::{Context, Fault, call},
    protocol::REQUEST,
};

/// The queued commands.
#[derive(Default)]
pub(crate) struct Transaction {
    commands: Vec<Vec<Vec<u8>>>,
    bytes: usize,
    /// Whether a queued command was an error, so that none is executed.
    pub(crate) is_refused: bool,
}

impl Transaction {
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Queues a command. All together may be as long as one command may be.
    pub(crate) fn queue(&mut self, request: &[&[u8]]) -> Result<(), Fault> {
        let len = request.iter().map(|argument| argument.len() + ARGUMENT);
        self.bytes += len.sum::<usize>();
        if self.bytes > REQUEST {
            self.is_refused = true;
            self.commands.clear();
            return Err("ERR too big a transaction".into());
        }
        let request = request.iter().map(|argument| argument.to_vec());
        self.commands.push(request.collect());
        Ok(())
    }
}

/// The overhead of an argument.
const ARGUMENT: usize = 64;

pub(crate) fn multi(context: &mut Context<'_>, _: &[&[u8]]) -> Result<(), Fault> {
    let mut transaction = context.client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    *transaction = Some(Transaction::default());
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
