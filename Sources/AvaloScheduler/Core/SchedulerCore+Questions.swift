import AvaloStore

// What operators ask. Answered at the end of a turn, when what came before is committed.
extension SchedulerCore {
  /// Somebody who waits for a topic's next event.
  struct Follower {
    var topic: String
    var after: UInt64
    /// Monotonic milliseconds after which the topic is told as it is.
    var until: Int64
    var reply: @Sendable (Answer) -> Void
  }

  func answerQuestions() {
    for (question, reply) in turn.questions {
      let answer = answer(question)
      guard case .follow(let topic, let after, let wait) = question, isBefore(answer, after) else {
        reply(answer)
        continue
      }
      guard followers.count < SchedulerLimits.followersMax else {
        reply(.failed("\(SchedulerLimits.followersMax) already follow topics: try again later"))
        continue
      }
      followers.append(Follower(topic: topic, after: after, until: moment.monotonic + wait, reply: reply))
    }
    guard !followers.isEmpty else { return }
    followers.removeAll { follower in
      guard moment.monotonic >= follower.until || hasMore(follower) else { return false }
      follower.reply(answer(.topic(follower.topic)))
      return true
    }
  }

  /// Whether there is nothing behind an offset yet, which can be waited for.
  private func isBefore(_ answer: Answer, _ after: UInt64) -> Bool {
    switch answer {
    case .topic(let report): report.head <= after
    case .unknown: true
    default: false
    }
  }

  /// Asks no log: a topic that was published to is known.
  private func hasMore(_ follower: Follower) -> Bool {
    guard let place = topics.place(of: follower.topic), topics[place].isLoaded else { return false }
    return topics[place].head > follower.after
  }

  /// Nobody is answered any more.
  func dismissFollowers() {
    for follower in followers { follower.reply(.failed("the scheduler is stopping")) }
    followers.removeAll()
  }

  func answer(_ question: Question) -> Answer {
    do throws(LogError) {
      switch question {
      case .topic(let name), .follow(let name, _, _):
        guard let stored = try log.topic(named: name) else { return .unknown }
        var watchers = 0
        if let place = topics.place(of: name) { topics[place].forEachWatcher { _ in watchers += 1 } }
        return .topic(
          TopicReport(
            name: name, epoch: log.identity.epoch(of: name), head: stored.head, floor: stored.floor,
            watchers: watchers, bytes: try log.bytes(of: stored.id)))
      case .log:
        statistics = try log.statistics()
        return .log(
          LogReport(
            generation: log.identity.generation, durability: log.durability.wireName, statistics: statistics,
            isHealthy: health == .healthy, isHoldingDeletion: clock.isHolding, links: linkPlaces.count,
            sessions: devices.sessionCount, watches: watchCount))
      case .devices(let user):
        let rows = try log.devices(of: user)
        return .devices(rows, open: rows.map(\.id).filter { devices.place(of: $0) != nil })
      case .broadcasts: return .broadcasts(try log.unfinishedBroadcasts())
      case .followers:
        return .followers(
          logFollowers.rows.values.sorted { $0.name < $1.name }, head: log.lastSequence, kept: logFollowers.kept)
      case .forgetFollower(let name): return forgetFollower(name) ? .done : .unknown
      case .trustClock:
        clock.release()
        return .done
      }
    } catch {
      return .failed("\(error)")
    }
  }
}
