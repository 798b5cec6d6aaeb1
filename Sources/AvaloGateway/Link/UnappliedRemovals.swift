import AvaloCore
import AvaloWire

/// Steps of the access log that take memberships away, until every loop has applied them. What a loop sends because of an
/// answer that came before a step, it sends before it says that the step is applied: afterwards nothing of it is on its way.
///
/// A pure value. A link's end ends nothing here: loops apply what came on it all the same. It is bounded by the scheduler,
/// which cuts who does not confirm a step within a second; a loop that stands still ends with its process.
struct UnappliedRemovals {
  struct Removal: Equatable {
    var topic: Topic
    var users: [String]
  }

  private struct Step {
    let link: UInt32
    let position: UInt64
    let removals: [Removal]
    /// Loops that have yet to apply it.
    var loops: Int
  }

  /// The oldest first.
  private var steps: [Step] = []

  var isEmpty: Bool { steps.isEmpty }

  /// A step came on a link, and was handed to so many loops.
  mutating func received(_ access: AccessChanged, link: UInt32, loops: Int) {
    let removals = access.changes.compactMap { change -> Removal? in
      if case .removed(let topic, let users) = change { Removal(topic: topic, users: users) } else { nil }
    }
    guard !removals.isEmpty else { return }
    steps.append(Step(link: link, position: access.position, removals: removals, loops: loops))
  }

  /// One more loop has applied a step; each says it once. Answers what every loop has applied by that.
  mutating func applied(_ position: UInt64, link: UInt32) -> [Removal] {
    guard let index = steps.firstIndex(where: { $0.position == position && $0.link == link }) else { return [] }
    steps[index].loops -= 1
    return steps[index].loops == 0 ? steps.remove(at: index).removals : []
  }
}
