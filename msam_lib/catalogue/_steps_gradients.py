"""Six lines of pseudo-code per method that changes gradients, their place or the schedule.

Plain text with LaTeX between dollar signs and options between backquotes; default options, unless a
line says otherwise. A line that is indented further goes on with the one before it.
"""

from __future__ import annotations

GRADIENT_STEPS: dict[str, str] = {
    "sam": r"""
        Forward pass: the loss $\mathcal L(\theta)$ of the batch.
        Backward pass: $g = \nabla \mathcal L(\theta)$.
        $\epsilon = \rho\, g / \lVert g \rVert_2$, over all weights together.
        Move the weights to $\theta + \epsilon$.
        Second pass there, with the same dropout masks: $\nabla \mathcal L(\theta + \epsilon)$.
        Move back to $\theta$ and make the optimizer's step with that gradient.
        """,
    "asam": r"""
        Forward and backward pass: $g = \nabla \mathcal L(\theta)$.
        Scale of every weight: $T = \lvert \theta \rvert + \eta$.
        $\epsilon = \rho\, T^2 g / \lVert T g \rVert_2$.
        Move the weights to $\theta + \epsilon$.
        Second pass there: $\nabla \mathcal L(\theta + \epsilon)$.
        Move back to $\theta$ and make the optimizer's step with that gradient.
        """,
    "momentum_sam": r"""
        Read the optimizer's momentum $v$; the first step has none and is a plain one.
        $\epsilon = -\rho\, v / \lVert v \rVert$; with `sign='plus'`, the other way.
        Move the weights to $\theta + \epsilon$.
        One forward and one backward pass there: $\nabla \mathcal L(\theta + \epsilon)$.
        Move back to $\theta$.
        Make the optimizer's step with that gradient; it renews $v$.
        """,
    "look_sam": r"""
        Forward and backward pass: $g = \nabla \mathcal L(\theta)$.
        Every `period` steps: $g_s = \nabla \mathcal L(\theta + \rho\, g / \lVert g \rVert)$.
        Keep its part across $g$: $g_v = g_s - (\langle g_s, g \rangle / \lVert g \rVert^2)\, g$.
        Follow $g_s$ in that step.
        In all others follow $g + \alpha\, (\lVert g \rVert / \lVert g_v \rVert)\, g_v$.
        Make the optimizer's step.
        """,
    "cr_sam": r"""
        Forward and backward pass: $g_0 = \nabla \mathcal L(\theta)$.
        $\epsilon = \rho\, g_0 / \lVert g_0 \rVert$.
        Second pass: $g_+ = \nabla \mathcal L(\theta + \epsilon)$.
        Third pass: $g_- = \nabla \mathcal L(\theta - \epsilon)$; move back to $\theta$.
        $g = g_+ + \gamma\, (g_+ + g_- - 2 g_0) + \beta\, (g_+ - g_-)$.
        Make the optimizer's step with $g$.
        """,
    "x_sam": r"""
        Every `period` steps, by the power method: $v$, the Hessian's leading eigenvector.
        Forward and backward pass: $g = \nabla \mathcal L(\theta)$.
        Second pass: $g_{\mathrm{adv}} = \nabla \mathcal L(\theta + \rho\, g / \lVert g \rVert)$.
        Until $v$ is known follow $g_{\mathrm{adv}}$; then turn $v$ so that
            $\langle g, v \rangle \ge 0$.
        $u = g_{\mathrm{adv}} / \lVert g_{\mathrm{adv}} \rVert$; reduce its part along $v$, by
            $\alpha$.
        Make the optimizer's step with that.
        """,
    "mses": r"""
        Forward pass, loss of the fused logits, backward pass.
        Gradients of the modalities that have stopped are None: nothing moves them.
        Make the optimizer's step.
        After the epoch: $\ell_m$, the smoothed validation loss of modality $m$'s own logits.
        A new minimum of $\ell_m$: keep a copy of $m$'s encoder and head.
        None for more than `patience` epochs: put that copy back, and stop $m$.
        """,
    "mslr": r"""
        Forward pass, loss of the fused logits, backward pass.
        Multiply the gradients of modality $m$'s encoder and head by $c_m r_m$.
        Make the optimizer's step.
        After the epoch: the validation accuracy of each modality's own logits.
        $r_m$ = that accuracy divided by its mean over the `window` epochs before.
        Until so many are known, and with `strategy='keep'`, $r_m = 1$.
        """,
    "ogm_ge": r"""
        Forward pass, loss of the fused logits, backward pass.
        $s_m = \sum_i \mathrm{softmax}(z_{m,i})[y_i]$, from what each modality says on its own.
        $\rho_m = s_m$ divided by the mean of the others' $s$.
        Where $\rho_m > 1$, encoder $m$'s gradient times $1 - \tanh(\alpha \rho_m)$.
        GE: add noise with the standard deviation that each tensor's gradient had.
        Make the optimizer's step.
        """,
    "agm": r"""
        Forward pass; the fused logits of every set of modalities.
        $m_k$: the Shapley values of these logits, $\sum_k m_k = F$.
        $s_k$: the mean cross-entropy of $m_k$; $r_k$ from it, $\tau_k$ from its running mean.
        $c_k = \exp(\alpha\, (\tau_k - r_k))$; at the first step $c_k = 1$.
        Backward pass of $\mathrm{CE}(F, y)$, the gradient through $m_k$ multiplied by $c_k$.
        Make the optimizer's step; renew the running means of $s$.
        """,
    "mmpareto": r"""
        Forward pass: the fused loss and the loss $\mathcal L_m$ of every modality's own logits.
        Two backward passes: $g_f$ of the fused loss, $g_u$ of $\sum_m \mathcal L_m$.
        Heads and fusion follow $g_f + g_u$.
        Encoder by encoder: $w = \frac12$ where $g_f$ and $g_u$ agree, else the shortest mixture's.
        $h = 2\, (w g_f + (1 - w)\, g_u)$, at least as long as $g_f + g_u$, times $\gamma$.
        Make the optimizer's step.
        """,
    "cggm": r"""
        Forward pass: features and fused loss.
        Train a small classifier on each modality's detached features; $D_m$ its gain in accuracy.
        $B_m = (S - D_m) / S$ with $S = \sum_m D_m$, kept between 0 and `bound`.
        $\cos_m$: between the gradients of the fused and the classifier's loss at the features.
        Backward pass of the loss
            $+ \text{weight} \cdot \frac1M \sum_m (\lvert B_m \rvert - B_m \cos_m)$.
        Encoder $m$'s gradient times $\text{scale} \cdot B_m$; make the optimizer's step.
        """,
    "reconboost": r"""
        Whose turn it is: modality $k$'s for `stage_epochs`, then all's for `joint_epochs`.
        A new phase: empty the optimizer's state.
        Joint phase: the fused loss. Else $s_i$, the true class' probability by the others' logits.
        Boosting loss of $k$'s own logits, with weights $w_1 - w_2 s_i$.
        $+ \text{agreement} \cdot \operatorname{mean}\, (q - r)^2$, $r$ the modality before $k$.
        Backward pass and the optimizer's step.
        """,
    "mla": r"""
        Forward pass of all encoders: features $h_m$.
        For each modality in turn: cross-entropy of the shared head on $h_m$, backward pass.
        $P \leftarrow P - (P r)(P r)^\top / (a + r^\top P r)$, $r$ the mean of $h_m$.
        Project the head's gradient: $\nabla W \leftarrow \nabla W P^\top$.
        Make the optimizer's step for encoder $m$ and the head; then the next modality.
        At test time add the logits, weighted by $\exp(\max H - H_m)$.
        """,
    "inforeg": r"""
        Forward pass; $\mathrm{CE}(\text{fused}) + \text{weight} \sum_m \mathrm{CE}(z_m)$; backward
            pass.
        $s_m = \sum_i \mathrm{softmax}(z_{m,i})[y_i]$; $\mathrm{gap}_m$ its lead over the others'
            mean.
        If encoder $m$'s window is open and $\mathrm{gap}_m > 0$, add to its gradient
        $\beta \exp(\tanh \mathrm{gap}_m)\, (w - w_0)$, $w_0$ the weights at the epoch's start.
        Add up the Fisher trace $t$; make the optimizer's step.
        After the epoch: the window stays open while $(T_e - T_{e-1}) / T_e > \text{threshold}$.
        """,
    "miles": r"""
        Forward pass; $\mathrm{CE}(\text{fused}) + \gamma \sum_m \mathrm{CE}(z_m)$; backward pass.
        Make the optimizer's step.
        Slowed encoders:
            $w \leftarrow w_{\text{before}} + \text{factor} \cdot (w - w_{\text{before}})$.
        After the epoch, on the validation split: utilisation rates $u_m$.
        $d_m = u_m$ minus the mean of the others' $u$.
        Slowed in the next epoch: those with $d_m > \text{threshold}$; none if all $u_m < 0$.
        """,
    "diagnose_relearn": r"""
        Forward pass, loss of the fused logits, backward pass, the optimizer's step.
        Every `period` epochs, `times` times at most, before the epoch:
        cluster encoder $m$'s features of training and validation samples (k-means).
        $\mathrm{gap}_m$: how far the two purities are apart.
        $w_m = \tanh(\text{strength} \cdot \mathrm{gap}_m)$.
        $\theta_m \leftarrow w_m \theta_m(0) + (1 - w_m)\, \theta_m$, back towards the start.
        """,
    "dgl": r"""
        Forward pass of the encoders: features $h_m$.
        Fused logits $F(h)$ from detached features.
        Logits $u_m$ of each modality alone, through the fusion held constant.
        $\mathcal L = \mathrm{CE}(F(h), y) + \alpha \sum_m \mathrm{CE}(u_m, y)$.
        Backward pass: the first term reaches the fusion only, the second the encoders only.
        Make the optimizer's step.
        """,
    "arl": r"""
        Forward pass: $F(h)$, and the logits $u_m$ of each modality alone.
        Backward pass of $\mathrm{CE}(F(h), y) + \gamma \sum_m \mathrm{CE}(u_m, y)$.
        Dependence $d_m$: share of the mean size of $u_m$. Entropy $H_m$: share, floored.
        $q_m \propto 1 / H_m$; $\kappa = \mathrm{softmax}(T\, q_m\, \bar d_m)$.
        Encoder $m$'s gradient times $1 + \kappa_m$.
        Make the optimizer's step.
        """,
    "masam": r"""
        Forward pass; two backward passes: of $\mathcal L_f$ and of $\sum_m \mathcal L_m$.
        $\gamma_m = \cos(\nabla_m \mathcal L_f, \nabla_m \mathcal L_m)$; $\mathrm{Decay}_m$ from
            $\mathcal L_m$'s moving average.
        Choose the encoder with the largest $\alpha\, \mathrm{Decay}_m + (1 - \alpha)\, \gamma_m$.
        Displace it by
            $\rho\, \gamma_m \nabla_m \mathcal L_f / \lVert \nabla_m \mathcal L_f \rVert$;
            $\nabla_m \mathcal L_f$ there; back.
        It follows that plus $\lambda \nabla_m \mathcal L_m$ of here; all others the gradients of
            here.
        Make the optimizer's step.
        """,
    "msam": r"""
        Forward and backward pass: $\nabla \mathcal L(\theta)$.
        Shapley values $\phi_m$ of the batch accuracy; shares $v_m$; dominant
            $d = \operatorname{argmax} v$.
        $\epsilon = \rho\, \nabla \mathcal L / \lVert \nabla \mathcal L \rVert$
            (`reading='literal'`).
        Second pass at $\theta + \epsilon$: $\nabla \mathcal L(\theta + \epsilon)$; move back to
            $\theta$.
        $g = (1 - v_d) \nabla \mathcal L(\theta) + v_d \nabla \mathcal L(\theta + \epsilon)$.
        Make the optimizer's step with $g$.
        """,
}
