/// What a ``RealtimeClient`` tells, for one reader.
///
/// Iterating begins with what waits: before there is any reader, updates are kept for the first one. Several readers each
/// get what they want. An update is processed, and then acknowledged, when every reader that wants it has asked for the one
/// after it; a reader that leaves its loop has not processed the update that it left with, unless it says so by
/// ``Iterator/finishCurrent()``. A reader that does not come back holds the socket back, not the memory; an application that
/// is interested in nothing reads all the same, and drops it.
///
/// Where readers want single types, an event that none of them wants waits for one that does, without holding up the
/// others: for as long as it takes when the application has called ``RealtimeClient/events(of:)`` for its type, or
/// ``RealtimeClient/events`` or ``RealtimeClient/updates``, whether a loop of it has run, runs or will run, and for ten
/// seconds when it never did. Of what waits so, at most the newest 1,024
/// events are kept, and of each state the newest. Updates that are no events wait for nobody.
///
/// Ends with the task, and with ``RealtimeClient/shutdown()``.
public struct RealtimeUpdates<Element: Sendable>: AsyncSequence, Sendable {
  let client: RealtimeClient
  let read: @Sendable (RealtimeUpdate) -> Element?

  init(client: RealtimeClient, _ read: @escaping @Sendable (RealtimeUpdate) -> Element?) {
    self.client = client
    self.read = read
  }

  /// One reader's place among what happens.
  public struct Iterator: AsyncIteratorProtocol {
    let client: RealtimeClient
    let read: @Sendable (RealtimeUpdate) -> Element?
    private var place: Place?

    init(client: RealtimeClient, read: @escaping @Sendable (RealtimeUpdate) -> Element?) {
      self.client = client
      self.read = read
    }

    /// The next one; what came before it is processed now. `nil` at the end, and when the task is cancelled.
    public mutating func next() async -> Element? {
      let place: Place
      if let known = self.place {
        place = known
      } else {
        place = Place(client: client, id: await client.addReader())
        self.place = place
      }
      let update = await client.next(place.id) { [read] in read($0) != nil }
      return update.flatMap(read)
    }

    /// What came last is processed, though nothing more is asked for yet.
    public func finishCurrent() async {
      if let place { await client.finish(place.id) }
    }
  }

  public func makeAsyncIterator() -> Iterator { Iterator(client: client, read: read) }

  /// A reader's place among the others, for as long as its iterator lives.
  private final class Place: Sendable {
    let client: RealtimeClient
    let id: UpdateQueue.ReaderID

    init(client: RealtimeClient, id: UpdateQueue.ReaderID) {
      self.client = client
      self.id = id
    }

    deinit { client.tell(.readerLeft(id)) }
  }
}
