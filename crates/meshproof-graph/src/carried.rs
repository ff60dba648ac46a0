//! One request along a way, as each hop sees it.

use meshproof_authz::{Decision, HttpRequest, Request, Token, evaluate};
use meshproof_resources::JwtRule;
use meshproof_space::Tokens;

use crate::graph::{Edge, Graph};
use crate::paths::Hop;
use crate::rewrite::Rewrite;
use crate::survival::Segment;
use crate::traced::TOKEN;
use crate::witness::connection;

impl Graph<'_> {
    /// Requests for each hop, all made of the one that the first is shown by.
    pub(crate) fn carried(
        &self,
        segment: &Segment<'_, '_>,
        first: Request,
        rewrites: &[Rewrite],
    ) -> Result<Vec<Request>, String> {
        let mut sent = self.accepted_by(&segment.hops[0], &first)?;
        let mut shown = vec![first];
        for (hop, rewrite) in segment.hops[1..].iter().zip(rewrites) {
            let before = shown.last().and_then(|request| request.http.clone());
            let edge = &self.edges[hop.edge];
            let plain = connection(edge, hop.by, self);
            // A proxy takes the token away that it has read, unless its rule says otherwise.
            sent = sent.filter(|(_, rule)| rule.forward_original_token);
            let Some(chain) = self.chain(edge) else {
                shown.push(plain);
                continue;
            };
            let token = match (&sent, &chain.domain.tokens) {
                (None, _) | (_, Tokens::None) => Token::None,
                (Some((token, rule)), _) if self.jwt_rules(edge).any(|own| own == *rule) => token.clone(),
                _ => return Err(TOKEN.to_owned()),
            };
            let http = before.filter(|_| chain.is_http()).map(|http| HttpRequest {
                target: rewrite.apply(&http.target),
                token,
                ..http
            });
            let request = Request { http, ..plain };
            if evaluate(&chain.policies, &request, &chain.context).decision != Decision::Allow {
                return Err("no request was found that gets through all hops for certain".to_owned());
            }
            shown.push(request);
        }
        Ok(shown)
    }

    /// The token that is read at the first hop, with the rule that accepts it.
    fn accepted_by(&self, hop: &Hop<'_>, request: &Request) -> Result<Option<(Token, &JwtRule)>, String> {
        let Some(token @ Token::Verified { claims, .. }) = request.http.as_ref().map(|http| &http.token)
        else {
            return Ok(None);
        };
        let issuer = claims.get("iss").and_then(|issuer| issuer.as_str());
        let is_own = |rule: &&JwtRule| rule.issuer.as_ref().map(|own| own.value.as_str()) == issuer;
        let mut rules = self.jwt_rules(&self.edges[hop.edge]).filter(is_own);
        match (rules.next(), rules.next()) {
            (Some(rule), None) => Ok(Some((token.clone(), rule))),
            _ => Err("several rules of RequestAuthentications accept the token".to_owned()),
        }
    }

    /// The rules about tokens at the end of an edge.
    pub(crate) fn jwt_rules(&self, edge: &Edge) -> impl Iterator<Item = &JwtRule> {
        let attached = self.place(edge.place).request_authentications.iter();
        attached
            .filter_map(|attached| self.mesh.request_authentication(attached.policy))
            .flat_map(|policy| policy.jwt_rules.iter())
    }
}
