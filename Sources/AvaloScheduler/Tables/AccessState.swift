import AvaloCore
import AvaloStore
import AvaloWire

/// Who waits for a change of access: the link and the request's correlation, and what they are answered.
struct AccessCaller {
  var link: LinkID
  var correlation: UInt32
  var answer: any WireMessage
}

/// What a change of members comes to.
struct MemberEffect {
  /// Of those it may concern, the members before it.
  let present: Set<String>
  let added: Set<String>
  let left: Set<String>
  /// Whom gateways are told of: also who was no member. Who asks again after an answer that was lost must not be told
  /// that all is well before it is.
  let told: Set<String>
  /// How many there are after it.
  var members = 0

  init(_ change: ChangeMembers, present: Set<String>) {
    let users = Set(change.users)
    self.present = present
    added = change.change == .remove ? [] : users.subtracting(present)
    switch change.change {
    case .add: told = []
    case .remove: told = users
    case .set: told = present.subtracting(users)
    }
    left = told.intersection(present)
  }

  var answer: MembersChanged {
    MembersChanged(added: UInt32(added.count), removed: UInt32(left.count), members: UInt32(members))
  }
}

/// An inbox that is being erased, chunk by chunk, between turns.
struct Erasure {
  var upTo: UInt64
  /// What was removed so far, by this process.
  var removed = Erased(events: 0, devices: 0, memberships: 0)
  var callers: [AccessCaller] = []
}

/// What the running turn's transaction changes of access.
struct AccessTurn {
  var hasChanges = false
  var callers: [AccessCaller] = []
  var erasures: [String: Erasure] = [:]
  /// Links that were told the state in this turn.
  var begun: [LinkState] = []
  // For metrics.
  var members = 0
  var revocations = 0
}

/// What the engine keeps of access in memory: all revocations, and who waits. Members stay in the log.
struct AccessState {
  /// Of the last change, committed or about to be.
  var position: UInt64
  var revocations: RevocationTable
  var confirmations = AccessConfirmations<AccessCaller>()
  var erasures: [String: Erasure]
  /// A transaction that changed access failed, and may have happened all the same: what is here, and what gateways
  /// were told, has to be made anew from the log.
  var isUncertain = false

  init(_ log: any EventLog) throws(LogError) {
    position = try log.accessPosition()
    revocations = RevocationTable(try log.revocations())
    erasures = [:]
    for erasure in try log.erasures() { erasures[erasure.user] = Erasure(upTo: erasure.upTo) }
  }
}
