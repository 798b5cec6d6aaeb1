import AvaloMetrics
import NIOCore

// From an event whose turn it is to what its post came to.
extension Courier {
  func begin(_ item: DeliveryQueue.Item) {
    guard !item.isErased else { return skip(item, .erased) }
    guard item.givenUp == nil else { return bury(item) }
    guard item.event.expiresMilliseconds > context.wallClock.milliseconds else { return expired(item) }
    guard settings.onlyOffline, item.event.topic.isInbox else { return post(item) }
    let life = self.life
    presence.ask(String(item.event.topic.id), at: now) { [weak self] isConnected in
      guard let self, life == self.life else { return }
      go(on: item, isConnected)
      // Not before the caller has returned: it may be going through what is ready.
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      context.eventLoop.execute { bound.value.pump() }
    }
  }

  /// Presence has answered. Who cannot be asked about gets a post: one too many is better than none.
  private func go(on item: DeliveryQueue.Item, _ isConnected: Bool?) {
    if queue[item.event.sequence]?.isErased == true {
      // Meanwhile.
      skip(item, .erased)
    } else if isConnected == true {
      skip(item, .online)
    } else if mayBegin {
      post(item)
    } else {
      queue.wait(item, until: now)
    }
  }

  private func skip(_ item: DeliveryQueue.Item, _ reason: WebhookMetrics.Skip) {
    skipped(1, reason)
    queue.finish(item.event.sequence)
  }

  private func expired(_ before: DeliveryQueue.Item) {
    var item = before
    item.expire()
    if item.givenUp == nil { skip(item, .expired) } else { queue.wait(item, until: now) }
  }

  private func post(_ item: DeliveryQueue.Item) {
    if item.tried != nil { metrics.retried.add() }
    let (poster, life, started) = (poster, life, now)
    queue.post(item.event.sequence, at: started)
    let bound = NIOLoopBound((self, item), eventLoop: context.eventLoop)
    let (id, body, eventLoop) = (item.event.id, item.event.body(), context.eventLoop)
    // Ends with the endpoint's answer, or its timeout; cancelled when the event is nobody's any more.
    posts[item.event.sequence] = Task {
      let outcome = await poster.post(id: id, body: body)
      eventLoop.execute { bound.value.0.posted(bound.value.1, at: started, outcome, life) }
    }
  }

  private func posted(_ before: DeliveryQueue.Item, at started: Int64, _ outcome: Outcome, _ life: Int) {
    guard life == self.life else { return }
    defer { pump() }
    posts[before.event.sequence] = nil
    // Cut off, which says nothing of the endpoint.
    if queue[before.event.sequence]?.isErased == true, outcome != .taken { return skip(before, .erased) }
    metrics.postSeconds.observe(seconds: Double(now - started) / 1000)
    var item = before
    item.post(at: started)
    let wasPaused = endpoint.isPaused
    switch outcome {
    case .taken:
      endpoint.answered(at: now)
      metrics.sent.add()
      queue.finish(item.event.sequence)
    case .refused(_, let retryAfter):
      endpoint.answered(at: now)
      metrics.failed.with(WebhookMetrics.Failure.refused.rawValue).add()
      failed(item, outcome, retryAfter: retryAfter)
    case .unavailable(_, let retryAfter):
      metrics.failed.with(WebhookMetrics.Failure.unavailable.rawValue).add()
      // The endpoint is away; but if it has answered others since this event's last attempt, then it is this event.
      if let tried = before.tried, endpoint.hasAnswered(since: tried) {
        failed(item, outcome, retryAfter: retryAfter)
      } else {
        endpoint.unavailable(since: started, at: now, retryAfter: retryAfter, settings.backoff, using: &random)
        failed(item, outcome, retryAfter: retryAfter, counts: false)
      }
    }
    if wasPaused != endpoint.isPaused { notePause(outcome) }
  }

  private func notePause(_ outcome: Outcome) {
    if endpoint.isPaused {
      log.warning("the endpoint is not available: events wait", metadata: ["reason": "\(outcome.reason)"])
    } else {
      log.notice("the endpoint answers again")
    }
  }

  /// A post came to nothing.
  /// - `counts`: as an attempt of this event, and not as one to find the endpoint there.
  private func failed(_ item: DeliveryQueue.Item, _ outcome: Outcome, retryAfter: Int64?, counts: Bool = true) {
    var item = item
    item.fail(
      outcome.reason, counts: counts, attempts: settings.attempts, patience: settings.giveUpAfter.milliseconds, at: now)
    let waits = counts && item.givenUp == nil
    let delay = waits ? settings.backoff.delay(after: item.attempts, retryAfter: retryAfter, using: &random) : 0
    queue.wait(item, until: now + delay)
  }
}
