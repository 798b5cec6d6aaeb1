import NIOCore

/// The answers that a connection owes, in the order of its requests, whichever of them is ready first. A value that the
/// connection holds.
struct DueAnswers {
  private var waiting = CircularBuffer<HTTPExchange.Due>()
  /// The number of the one in front: so many have left.
  private var front = 0

  var count: Int { waiting.count }
  var isEmpty: Bool { waiting.isEmpty }
  /// The one whose turn it is, be it ready or not.
  var first: HTTPExchange.Due? { waiting.first }
  /// Something was answered, and nothing is asked.
  var allHaveLeft: Bool { front > 0 && waiting.isEmpty }
  /// Whether a request waits for something to happen, which need not be soon.
  var holdsSome: Bool { waiting.contains { $0.answer == nil && $0.writing?.isHeld == true } }

  /// Answers the request's number, by which its answer finds its place.
  @discardableResult mutating func append(_ due: HTTPExchange.Due) -> Int {
    waiting.append(due)
    return front + waiting.count - 1
  }

  /// False when the request has had its answer.
  mutating func answer(_ number: Int, _ answer: HTTPAnswer) -> Bool {
    guard number >= front, waiting[offset: number - front].answer == nil else { return false }
    waiting[offset: number - front].answer = answer
    return true
  }

  /// Gives one answer to all that have none.
  mutating func answerRest(_ answer: HTTPAnswer) {
    for place in waiting.indices where waiting[place].answer == nil { waiting[place].answer = answer }
  }

  func isFirst(_ number: Int) -> Bool { number == front }

  mutating func removeFirst() {
    waiting.removeFirst()
    front += 1
  }

  /// Takes out whatever is there: nobody is left to be answered.
  mutating func removeAll() -> CircularBuffer<HTTPExchange.Due> {
    defer { waiting.removeAll() }
    return waiting
  }
}
