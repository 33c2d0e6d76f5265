// What can be made wrong with a store on purpose, so that a test can show that it would be found.

/// A rule that a store does not keep.
package enum StoreDefect: String, CaseIterable, Sendable {
    /// Results are stored whoever has the job by now.
    case finishesWithoutLease
    /// Who has the job by now loses it to whoever gives it back late.
    case releasesWithoutLease
    /// A life that was declared dead goes on claiming.
    case deadClaim
    /// What a life has claimed without hearing of it is not told.
    case unheardClaimsAreForgotten
    /// The jobs of lives that were declared dead stay theirs.
    case deadKeepTheirJobs
    /// The first death is a job's fault already.
    case firstDeathIsBlamed
    /// Who was silent himself judges others.
    case silentJudge
}
