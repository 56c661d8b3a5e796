//! The gRPC service that proxies publish and subscribe through, one stream per proxy.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt};
use proto::v1::{
    EventAnswer, EventItem, EventReply, EventRequest, Refusal, TopicKind, event, event_item::Action,
    events_server::Events,
};
use tonic::{Request, Response, Status, Streaming};
use topology::notifications;

use super::{Hub, Kind, Origin, outbox::Outbox};
use crate::node::Replicas;

/// How often leaders that hold subscriptions are asked whether they still lead.
const LOOK: Duration = Duration::from_millis(250);

/// See the module's description.
pub struct EventsService {
    replicas: Replicas,
    hub: Arc<Hub>,
}

impl EventsService {
    pub fn new(replicas: Replicas, hub: Arc<Hub>) -> Self {
        Self { replicas, hub }
    }
}

#[tonic::async_trait]
impl Events for EventsService {
    type StreamStream = Conversation;

    async fn stream(
        &self,
        request: Request<Streaming<EventRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (number, outbox) = self.hub.join();
        Ok(Response::new(Conversation {
            requests: request.into_inner(),
            replicas: self.replicas.clone(),
            hub: self.hub.clone(),
            number,
            outbox,
            refused: BTreeMap::new(),
            ended: false,
        }))
    }
}

/// The response stream. Being polled, it also takes in what the proxy sent.
pub struct Conversation {
    requests: Streaming<EventRequest>,
    replicas: Replicas,
    hub: Arc<Hub>,
    number: u64,
    outbox: Arc<Outbox>,
    /// The last attempt refused, by group.
    refused: BTreeMap<u64, u64>,
    ended: bool,
}

/// Why an item is not taken.
struct Refused {
    reason: Refusal,
    leader_hint: u64,
}

impl From<Refusal> for Refused {
    fn from(reason: Refusal) -> Self {
        Self { reason, leader_hint: 0 }
    }
}

impl Conversation {
    fn accept(&mut self, message: EventRequest) {
        for item in message.items {
            let mut answer =
                EventAnswer { id: item.id, group: item.group, attempt: item.attempt, ..Default::default() };
            match self.take(message.publisher, item) {
                Ok(receivers) => answer.receivers = receivers,
                Err(refused) => {
                    answer.refusal = refused.reason.into();
                    answer.leader_hint = refused.leader_hint;
                }
            }
            self.outbox.push(event::Event::Answer(answer));
        }
    }

    fn take(&mut self, publisher: u64, item: EventItem) -> Result<u64, Refused> {
        let (group, attempt) = (item.group, item.attempt);
        let is_behind_a_refused_one = self.refused.get(&group).is_some_and(|&last| attempt <= last);
        if is_behind_a_refused_one {
            return Err(Refusal::NotLeader.into());
        }
        if let Err(refused) = self.may_take(&item) {
            self.refused.insert(group, attempt);
            return Err(refused);
        }
        let kind = Kind::from_proto(item.kind());
        match item.action {
            Some(Action::Subscribers(count)) => {
                let subscribed = self.hub.subscribe(self.number, group, kind, &item.name, count);
                subscribed.map(|()| 0).map_err(|_full| Refusal::Overloaded.into())
            }
            Some(Action::Payload(payload)) => {
                let origin = Origin { publisher, id: item.id };
                Ok(self.hub.publish(group, kind, item.name, payload, origin))
            }
            // Of a newer proxy.
            None => Ok(0),
        }
    }

    fn may_take(&self, item: &EventItem) -> Result<(), Refused> {
        let replica = self.replicas.get(item.group).ok_or(Refusal::UnknownGroup)?;
        if !replica.leads_alone() {
            return Err(Refused { reason: Refusal::NotLeader, leader_hint: replica.leader_hint() });
        }
        if meets_at_its_slot(item) && !replica.owns(topology::slot_of(&item.name)) {
            return Err(Refusal::WrongGroup.into());
        }
        Ok(())
    }
}

/// Whether this concerns only the group that serves the topic's slot.
fn meets_at_its_slot(item: &EventItem) -> bool {
    match (item.kind(), &item.action) {
        (TopicKind::Pattern | TopicKind::Prefix, _) => false,
        (TopicKind::Channel, Some(Action::Subscribers(_))) => !notifications::announces_events(&item.name),
        // Who gave a slot away may also drop what was subscribed there.
        (TopicKind::Channel | TopicKind::Shard, _) => item.action != Some(Action::Subscribers(0)),
    }
}

impl Stream for Conversation {
    type Item = Result<EventReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            match self.requests.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => self.accept(message),
                Poll::Ready(Some(Err(_)) | None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        match self.outbox.poll_message(cx) {
            Poll::Ready(Some(reply)) => Poll::Ready(Some(Ok(reply))),
            Poll::Ready(None) => {
                tracing::warn!(stream = self.number, "a proxy does not take its events: its stream is ended");
                self.ended = true;
                Poll::Ready(Some(Err(Status::resource_exhausted("events are not taken"))))
            }
            Poll::Pending if self.ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.hub.leave(self.number);
    }
}

/// Closes groups whose leader here cannot tell any more that it leads: cut off, it would go on holding
/// subscribers whose messages are published elsewhere.
pub async fn watch_leadership(hub: Arc<Hub>, replicas: Replicas) {
    loop {
        hub.in_use.notified().await;
        let mut doubtful: Vec<u64> = Vec::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let groups = hub.groups();
            if groups.is_empty() {
                break;
            }
            let leads = |group: &u64| replicas.get(*group).is_some_and(|replica| replica.leads_alone());
            let in_doubt: Vec<u64> = groups.into_iter().filter(|group| !leads(group)).collect();
            // A lease may lapse for a moment on a busy machine.
            in_doubt.iter().filter(|group| doubtful.contains(group)).for_each(|&group| hub.close(group));
            doubtful = in_doubt;
        }
    }
}
