import AvaloWire

/// What gateways ask about access, on behalf of servers, and about where users stand.
public enum AccessRequest: Sendable, Equatable {
  case changeMembers(ChangeMembers)
  case listMembers(ListMembers)
  case memberships(MembershipQuery)
  case membershipsOf(MembershipsQuery)
  case starts(StartsQuery)
  case polled(PolledQuery)
  case stopPolling(StopPolling)
  case revoke(Revoke)
  case erase(Erase)

  /// Reads the request that a frame holds; `nil` for a kind that is none of them.
  init?(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) throws(WireError) {
    switch kind {
    case .changeMembers: self = .changeMembers(try ChangeMembers(body: body))
    case .listMembers: self = .listMembers(try ListMembers(body: body))
    case .membershipQuery: self = .memberships(try MembershipQuery(body: body))
    case .membershipsQuery: self = .membershipsOf(try MembershipsQuery(body: body))
    case .startsQuery: self = .starts(try StartsQuery(body: body))
    case .polledQuery: self = .polled(try PolledQuery(body: body))
    case .stopPolling: self = .stopPolling(try StopPolling(body: body))
    case .revoke: self = .revoke(try Revoke(body: body))
    case .erase: self = .erase(try Erase(body: body))
    default: return nil
    }
  }
}
